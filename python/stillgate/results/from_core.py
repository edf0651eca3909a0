"""From the compiled module's results to Python's."""

from __future__ import annotations

from typing import Optional

import stillgate._core as _core
from stillgate.results.hold import Hold
from stillgate.results.outcome import Error, Outcome, Timings
from stillgate.results.report import Finding, GateCounters, Report, Switch


def to_error(core: Optional[_core.Error]) -> Optional[Error]:
    if core is None:
        return None
    return Error(core.code, core.message, core.haproxy, core.partial)


def to_outcome(core: _core.Outcome) -> Outcome:
    timings = core.timings
    return Outcome(
        core.endpoint,
        core.reply,
        to_error(core.error),
        Timings(timings.connected_ms, timings.sent_ms, timings.answered_ms),
    )


def _to_counters(core: Optional[_core.GateCounters]) -> Optional[GateCounters]:
    if core is None:
        return None
    return GateCounters(
        most_waiting=core.most_waiting,
        held=core.held,
        released=core.released,
        given_up=core.given_up,
        rejected=core.rejected,
        longest_wait_ms=core.longest_wait_ms,
    )


def _to_switch(core: _core.Switch) -> Switch:
    return Switch(
        endpoint=core.endpoint,
        frontend=core.frontend,
        hold_id=core.hold_id,
        verdict=core.verdict,
        method=core.method,
        lease=core.lease,
        limit_before=core.limit_before,
        limit_now=core.limit_now,
        waiting=core.waiting,
        gate=_to_counters(core.gate),
        in_flight=core.in_flight,
        leaked=core.leaked,
        version=core.version,
        rtt_ms=core.rtt_ms,
        findings=[Finding(one.code, one.level, one.message) for one in core.findings],
        error=to_error(core.error),
    )


def to_report(core: _core.Report) -> Report:
    return Report(
        action=core.action,
        ok=core.ok,
        exit_status=core.exit_status,
        holds=[
            Hold(
                id=one.id,
                owner=one.owner,
                reason=one.reason,
                frontends=list(one.frontends),
                started_at=one.started_at,
                deadline=one.deadline,
                max_hold_s=one.max_hold_s,
            )
            for one in core.holds
        ],
        switches=[_to_switch(one) for one in core.switches],
        commit_window_ms=core.commit_window_ms,
        skew_ms=core.skew_ms,
        drained=core.drained,
        drain_ms=core.drain_ms,
        error=to_error(core.error),
    )
