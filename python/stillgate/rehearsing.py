"""Watches the real traffic of a fleet for some seconds, and holds nothing."""

from __future__ import annotations

import json
import re
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Protocol, Sequence

import stillgate._core as _core
from stillgate.errors import InputError
from stillgate.forecast import Bound, Look, Seen, forecast
from stillgate.results.haproxy import Info, StatRow
from stillgate.results.outcome import Answer, Error, Outcome
from stillgate.results.rehearsal import Cut, Rehearsal
from stillgate.results.report import Report, Switch

EVERY_S = 1.0  # between two looks
LEAST_LOOKS = 4
LEAST_S, MOST_S = 1.0, 600.0
MOST_LISTED = 2000  # connections: with more, `show fd` costs HAProxy too much
LOCAL = "unix://"
# The check's words: "... is over, here within 5 s, and this hold may last 15 s". HAProxy's list of
# streams, by which it knows that, has whole seconds, so it may be one less.
_WITHIN = re.compile(r"within (\d+) s")


class WatchedFleet(Protocol):
    """What of Fleet is used."""

    def info(self) -> Sequence[Answer[Info]]:
        ...

    def execute(self, command: str, payload: Optional[str] = None) -> Sequence[Outcome]:
        ...


def rehearse(
    fleet: WatchedFleet,
    some: Callable[[List[str]], WatchedFleet],
    make_check: Callable[[], Report],
    watch_s: float,
    options: Mapping[str, Any],
    wait: Callable[[float], object],
) -> Rehearsal:
    """`options` are those that `make_check` checks by; `some` makes the fleet of these endpoints,
    and `wait` waits for so many seconds, or until somebody has stopped the fleet. Errors:
    InputError.
    """
    if not LEAST_S <= watch_s <= MOST_S:
        words = f"watch: must be {LEAST_S:g} to {MOST_S:g} s"
        raise InputError("bad_option", words, "watch")
    check = make_check()
    names = list(dict.fromkeys(one.frontend for one in check.switches))
    seen = _surroundings(fleet, some, check, names)
    looks = _look_for(fleet, watch_s, wait)
    return forecast(
        check,
        [_with_looks(one, looks[one.endpoint]) for one in seen],
        names,
        options["max_hold"],
        options.get("max_waiting", 0),
        options.get("drain_timeout", 5.0),
    )


# --- what stays as it is --------------------------------------------------------------


def _surroundings(
    fleet: WatchedFleet,
    some: Callable[[List[str]], WatchedFleet],
    check: Report,
    names: Sequence[str],
) -> List[Seen]:
    by_endpoint: Dict[str, List[Switch]] = {}
    for one in check.switches:
        by_endpoint.setdefault(one.endpoint, []).append(one)
    infos = {answer.endpoint: answer for answer in fleet.info()}
    # One whose gate is refused may be refused for what the gate knows.
    gated = [url for url, those in by_endpoint.items() if any(s.method != "maxconn" for s in those)]
    proofs = _proofs(some, gated, names)
    depths = _depths(some, infos)
    queues = _queues(some, gated)
    found = []
    for url, switches in by_endpoint.items():
        answer = infos.get(url)
        info = answer.value if answer else None
        proof = proofs.get(url, {})
        found.append(
            Seen(
                endpoint=url,
                endpoint_name=switches[0].endpoint_name,
                switches=switches,
                maxconn=info.maxconn if info else None,
                connections=info.curr_conns if info else None,
                bounds=_bounds(proof),
                depths=depths.get(url, {}),
                cuts=_cuts(switches, proof),
                queues_s=queues.get(url),
                error=answer.error if answer else None,
            )
        )
    return found


def _proofs(
    some: Callable[[List[str]], WatchedFleet], urls: List[str], names: Sequence[str]
) -> Dict[str, Dict[str, Any]]:
    """What each gate says of each frontend; the check has asked it, too."""
    found: Dict[str, Dict[str, Any]] = {}
    if not urls:
        return found
    for outcome in some(urls).execute(" ".join(["stillgate prove", *names])):
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(outcome.reply or "")["frontends"]
            found[outcome.endpoint] = {name: one for name, one in told.items() if dict(one)}
    return found


def _queues(
    some: Callable[[List[str]], WatchedFleet], urls: List[str]
) -> Dict[str, Dict[str, float]]:
    """`timeout queue` of each backend, in seconds, by the gate; one of an older release does not
    know.
    """
    found: Dict[str, Dict[str, float]] = {}
    for outcome in some(urls).execute("stillgate queues") if urls else ():
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            told = json.loads(outcome.reply or "")["queue_ms"]
            found[outcome.endpoint] = {name: float(ms) / 1000 for name, ms in told.items()}
    return found


def _bounds(proof: Mapping[str, Any]) -> Dict[str, Bound]:
    bounds = {}
    for name, told in proof.items():
        if isinstance(told.get("most"), int):
            bounds[name] = Bound(told["most"], str(told.get("most_by", "")))
    return bounds


def _cuts(switches: Sequence[Switch], proof: Mapping[str, Any]) -> Dict[str, Cut]:
    """What the check knows of HAProxy's timeouts."""
    cuts: Dict[str, Cut] = {}
    for one in switches:
        if one.method == "maxconn":
            continue  # HAProxy has not accepted who waits in the kernel, and times nothing
        longest = proof.get(one.frontend, {}).get("longest_ms")
        if isinstance(longest, (int, float)):
            by = proof[one.frontend].get("longest_by", "")
            words = f"'tcp-request inspect-delay' of '{one.frontend}' is over ({by})"
            cuts[one.frontend] = Cut(longest / 1000, words)
        for finding in one.findings:
            within = _WITHIN.search(finding.message)
            if finding.code == "client_timeout_short" and within:
                words = f"'timeout client' of '{one.frontend}' ends who waits"
                cuts[one.frontend] = Cut(float(within[1]) - 1, words)
    return cuts


def _depths(
    some: Callable[[List[str]], WatchedFleet], infos: Mapping[str, Answer[Info]]
) -> Dict[str, Dict[str, int]]:
    """By endpoint and frontend, for HAProxies on this machine."""
    local = [
        url
        for url, answer in infos.items()
        if url.startswith(LOCAL) and answer.value and _is_small(answer.value)
    ]
    if not local:
        return {}
    return {
        outcome.endpoint: _core.listen_depths_of(outcome.reply or "")
        for outcome in some(local).execute("show fd")
    }


def _is_small(info: Info) -> bool:
    return (info.curr_conns or 0) <= MOST_LISTED


# --- what is watched ------------------------------------------------------------------


class _Watched:
    """The looks at one endpoint, or why there is none."""

    def __init__(self) -> None:
        self.looks: List[Look] = []
        self.error: Optional[Error] = None


def _look_for(
    fleet: WatchedFleet, seconds: float, wait: Callable[[float], object]
) -> Dict[str, _Watched]:
    begun = time.monotonic()
    found: Dict[str, _Watched] = {}
    count = max(LEAST_LOOKS, round(seconds / EVERY_S) + 1)
    for number in range(count):
        left = begun + seconds * number / (count - 1) - time.monotonic()
        if left > 0:
            wait(left)
        asked_at = time.monotonic() - begun
        for outcome in fleet.execute("show stat"):
            _note(found.setdefault(outcome.endpoint, _Watched()), outcome, asked_at)
    return found


def _note(watched: _Watched, outcome: Outcome, asked_at: float) -> None:
    if outcome.reply is None:
        watched.error = outcome.error
        return
    try:
        rows = StatRow.parse(outcome.reply)
    except InputError as error:
        watched.error = Error(error.code, error.message, None, outcome.reply)
        return
    at_s = asked_at + (outcome.timings.answered_ms or 0.0) / 1000
    watched.looks.append(Look(at_s, rows))


def _with_looks(seen: Seen, watched: _Watched) -> Seen:
    """A look that failed is no matter as long as there are others."""
    error = seen.error or (watched.error if len(watched.looks) < 2 else None)
    begun = watched.looks[0].at_s if watched.looks else 0.0
    looks = [Look(one.at_s - begun, one.rows) for one in watched.looks]
    return replace(seen, looks=looks, error=error)
