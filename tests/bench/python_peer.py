"""The library's side of the bench, as its users call it: the whole call from Python."""

from __future__ import annotations

import time

from bench.rounds import Round, cpu_us, obey

import stillgate


def cold(endpoints: list[str]) -> Round:
    cpu, begun = cpu_us(), time.perf_counter()
    outcomes = stillgate.Fleet(endpoints).execute("show info")
    total = 1e3 * (time.perf_counter() - begun)
    used = cpu_us() - cpu
    timings = [outcome.timings for outcome in outcomes]
    sent = [one.sent_ms for one in timings if one.sent_ms is not None]
    answered = [one.answered_ms for one in timings if one.answered_ms is not None]
    window = max(answered) - min(sent) if sent and answered else 0.0
    return Round(total, window, used, sum(outcome.error is None for outcome in outcomes))


if __name__ == "__main__":
    obey({"cold": cold})
