"""What a hold would do, from what was seen of the traffic: numbers in, numbers out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from stillgate.results.haproxy import StatRow
from stillgate.results.outcome import Error
from stillgate.results.rehearsal import Cut, Fills, Herd, Rehearsal, RehearsedHaproxy, WaitsAfter
from stillgate.results.report import Report, Switch

MARGIN = 0.8  # of the time after which something fails: traffic is not even
QUEUE_S = 5.0  # where nobody knows `timeout queue`: what most have as `timeout connect`
LONGEST_S = 3600.0
LEAST_ANSWER_S = 0.001  # HAProxy counts whole milliseconds
BACKEND, SERVER = 1, 2  # types of rows


class Look(NamedTuple):
    """`show stat` of one HAProxy, so many seconds after the watching began."""

    at_s: float
    rows: Sequence[StatRow]


class Bound(NamedTuple):
    """How many requests the gate lets wait, and what says so."""

    most: int
    by: str


@dataclass(frozen=True)
class Seen:
    """One HAProxy. `switches` are the check's; `maxconn` and `connections` are of the whole
    process; `queues_s` is `timeout queue` by backend, None where nobody knows; the others are by
    frontend: the gate's limit, the depth of the kernel's queue, the timeouts that end a wait.
    """

    endpoint: str
    endpoint_name: str
    switches: Sequence[Switch] = ()
    looks: Sequence[Look] = ()
    maxconn: Optional[int] = None
    connections: Optional[int] = None
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    depths: Mapping[str, int] = field(default_factory=dict)
    cuts: Mapping[str, Cut] = field(default_factory=dict)
    queues_s: Optional[Mapping[str, float]] = None
    error: Optional[Error] = None


def forecast(
    check: Report,
    seen: Sequence[Seen],
    frontends: Sequence[str],
    max_hold_s: float,
    max_waiting: int = 0,
    drain_timeout_s: float = 5.0,
) -> Rehearsal:
    """`check` is the report of the check of that hold."""
    moments = [max_hold_s * part / 3 for part in (1, 2, 3)]
    haproxies = [_one(one, moments, max_waiting) for one in seen]
    advised, reason = _advice(haproxies)
    failed = any(one.error for one in haproxies)
    herds = [one.herd for one in haproxies]
    drains = [one.drain_s for one in haproxies if one.drain_s is not None]
    return Rehearsal(
        frontends=list(frontends),
        max_hold_s=max_hold_s,
        watched_s=max((look.at_s for one in seen for look in one.looks), default=0.0),
        haproxies=haproxies,
        arrivals_per_s=_sum([one.arrivals_per_s for one in haproxies]),
        waits=[
            WaitsAfter(at, _total([one.waits[number].waiting for one in haproxies]))
            for number, at in enumerate(moments)
        ],
        herd=_total([herd.count if herd else None for herd in herds]),
        drain_s=max(drains) if len(drains) == len(haproxies) else None,
        advised_s=advised,
        reason=reason,
        fits=check.ok and not failed and (advised is None or max_hold_s <= advised),
        notes=_notes(haproxies, drain_timeout_s),
        exit_status=check.exit_status or int(failed),
        check=check,
    )


# --- what was seen --------------------------------------------------------------------


@dataclass(frozen=True)
class _Frontend:
    """`rate` is what will wait, per second. `open` are its connections now, None where one
    connection may have many requests that wait.
    """

    name: str
    method: str
    http: bool
    rate: float
    connections_per_s: float
    passing_per_s: float
    open: Optional[int]
    limit: int
    depth: int
    depth_known: bool
    bound: Optional[Bound]

    @property
    def by_gate(self) -> bool:
        return self.method == "gate"

    def wanted(self, at_s: float) -> float:
        """How many wait if there is room for all. One connection of HTTP/1 has one request that
        waits, and its client sends no other.
        """
        if self.open is None or not self.http or not self.by_gate:
            return self.rate * at_s
        return min(self.rate * at_s, self.open + self.connections_per_s * at_s)

    def waiting(self, at_s: float) -> float:
        room = float(self.depth)
        if self.by_gate:
            room = math.inf if self.open is None else self.limit + float(self.depth)
            if self.bound is not None:
                room = min(room, self.bound.most)
        return min(self.wanted(at_s), room)

    def full_after(self, count: float) -> Optional[float]:
        """When so many want to wait; None: never in an hour."""
        if self.wanted(LONGEST_S) < count:
            return None
        low, high = 0.0, LONGEST_S
        while high - low > 0.01:
            middle = (low + high) / 2
            low, high = (low, middle) if self.wanted(middle) >= count else (middle, high)
        return high


def _read(seen: Seen, switch: Switch, max_waiting: int) -> Optional[_Frontend]:
    first, last = seen.looks[0], seen.looks[-1]
    rows = [_row_of(look, switch.frontend) for look in (first, last)]
    before, now = rows
    seconds = last.at_s - first.at_s
    if before is None or now is None or switch.method is None or seconds <= 0:
        return None
    http = now.fields.get("mode") != "tcp"
    connections = _per_second(before, now, "conn_tot", seconds)
    if connections is None:
        connections = _per_second(before, now, "stot", seconds) or 0.0
    requests = _per_second(before, now, "req_tot", seconds) if http else connections
    requests = connections if requests is None else requests
    by_gate = switch.method == "gate"
    limit = now.slim or 0
    depth = seen.depths.get(switch.frontend)
    bound = seen.bounds.get(switch.frontend) if by_gate else None
    if by_gate and max_waiting and (bound is None or bound.by == "maxconn"):
        bound = Bound(max_waiting, "--max-waiting")
    elif by_gate and max_waiting and bound is not None and max_waiting < bound.most:
        bound = Bound(max_waiting, "--max-waiting")
    return _Frontend(
        name=switch.frontend,
        method=switch.method,
        http=http,
        rate=requests if by_gate else connections,
        connections_per_s=connections,
        passing_per_s=0.0 if by_gate or not http else max(0.0, requests - connections),
        open=None if by_gate and http and _may_have_many(before, now) else now.scur or 0,
        limit=limit,
        depth=limit + 1 if depth is None else depth,
        depth_known=depth is not None,
        bound=bound,
    )


def _may_have_many(before: StatRow, now: StatRow) -> bool:
    """Whether one of its connections may be HTTP/2: HAProxy 2.4 and later count them."""
    so_far, total = before.number("h2_total_connections"), now.number("h2_total_connections")
    if so_far is None or total is None:
        return True
    return total > so_far or bool(now.number("h2_open_connections"))


def _per_second(before: StatRow, now: StatRow, column: str, seconds: float) -> Optional[float]:
    """None where it is not counted. What counts from 0 again was restarted."""
    first, last = before.number(column), now.number(column)
    if first is None or last is None:
        return None
    return (last - first if last >= first else last) / seconds


def _row_of(look: Look, proxy: str, service: str = "FRONTEND") -> Optional[StatRow]:
    found = (one for one in look.rows if (one.pxname, one.svname) == (proxy, service))
    return next(found, None)


@dataclass(frozen=True)
class _Backend:
    """`share` of all requests goes there, `slots` at a time, each for `answer_s`."""

    name: str
    rate: float
    share: float
    slots: Optional[int]
    answer_s: float

    @property
    def capacity(self) -> Optional[float]:
        """Requests per second at most."""
        return None if self.slots is None else self.slots / self.answer_s


def _backends(seen: Seen) -> List[_Backend]:
    first, last = seen.looks[0], seen.looks[-1]
    seconds = last.at_s - first.at_s
    rates: Dict[str, float] = {}
    for row in last.rows:
        before = _row_of(first, row.pxname, "BACKEND")
        if row.type == BACKEND and before is not None:
            rates[row.pxname] = _per_second(before, row, "stot", seconds) or 0.0
    total = sum(rates.values())
    found = []
    for name, rate in rates.items():
        if rate <= 0:
            continue
        served = [
            sum(row.scur or 0 for row in look.rows if row.pxname == name and row.type == SERVER)
            for look in seen.looks
        ]
        answer_s = max(_told_answer_s(last, name), sum(served) / len(served) / rate)
        slots = _slots(last, name)
        found.append(_Backend(name, rate, rate / total, slots, max(LEAST_ANSWER_S, answer_s)))
    return found


def _told_answer_s(look: Look, backend: str) -> float:
    """HAProxy's own average, of the last 1,024 requests."""
    row = _row_of(look, backend, "BACKEND")
    if row is None:
        return 0.0
    return ((row.number("ctime") or 0) + (row.number("rtime") or 0)) / 1000


def _slots(look: Look, backend: str) -> Optional[int]:
    """None where a server takes any number."""
    servers = [row for row in look.rows if row.pxname == backend and row.type == SERVER]
    serving = [row.slim or 0 for row in servers if row.status.split(" ")[0] in ("UP", "no")]
    return sum(serving) if serving and all(serving) else None


def _flying(look: Look) -> int:
    """Streams that have a backend, and requests that are queued there."""
    return sum((row.scur or 0) + (row.qcur or 0) for row in look.rows if row.type == BACKEND)


# --- what will come -------------------------------------------------------------------


def _one(seen: Seen, moments: Sequence[float], max_waiting: int) -> RehearsedHaproxy:
    read = []
    if len(seen.looks) > 1:
        read = [_read(seen, switch, max_waiting) for switch in seen.switches]
    frontends = [one for one in read if one is not None]
    known = bool(frontends) and len(frontends) == len(read)
    backends = _backends(seen) if known else []
    flying = sum(map(_flying, seen.looks)) / len(seen.looks) if known else None

    def waiting(at_s: float) -> Optional[int]:
        return round(sum(one.waiting(at_s) for one in frontends)) if known else None

    fills = [
        *(fill for one in frontends for fill in _fills(one)),
        *_process_fills(seen, frontends),
        *_server_fills(seen, frontends, backends),
    ]
    return RehearsedHaproxy(
        endpoint=seen.endpoint,
        endpoint_name=seen.endpoint_name,
        methods=list(dict.fromkeys(one.method for one in frontends)),
        arrivals_per_s=sum(one.rate for one in frontends) if known else None,
        passing_per_s=sum(one.passing_per_s for one in frontends) if known else None,
        waits=[WaitsAfter(at, waiting(at)) for at in moments],
        fills=sorted(fills, key=lambda one: one.at_s) if known else [],
        cuts=sorted(seen.cuts.values(), key=lambda one: one.after_s),
        in_flight=flying,
        drain_s=_drain_s(seen.looks[-1], flying, backends) if flying is not None else None,
        herd=_herd(waiting(moments[-1]), backends),
        error=seen.error,
    )


def _fills(one: _Frontend) -> List[Fills]:
    """Of the frontend itself."""
    found: List[Fills] = []

    def add(what: str, at_s: Optional[float], words: str, fails: bool) -> None:
        if at_s is not None:
            found.append(Fills(what, at_s, words, fails))

    queue = f"the kernel's queue of {one.depth:,}" + (
        "" if one.depth_known else " (from maxconn: the backlog is unknown)"
    )
    retries = f"{queue} of '{one.name}' is full: further clients retry after 1, 3, 7 s"
    if not one.by_gate:
        add("kernel", one.full_after(one.depth), retries, True)
        return found
    if one.bound is not None and one.bound.by == "--max-waiting":
        add(*_bound_fill(one.bound, one.full_after(one.bound.most)))
    if one.open is None or one.connections_per_s <= 0 or one.limit <= 0:
        return found
    slots_s = max(0.0, one.limit - one.open) / one.connections_per_s
    queue_s = slots_s + one.depth / one.connections_per_s
    bound_s = one.full_after(one.bound.most) if one.bound is not None else None
    if slots_s > LONGEST_S or (bound_s is not None and bound_s < slots_s):
        # Who is refused keeps no connection.
        return found
    words = (
        f"maxconn {one.limit:,} of '{one.name}' is used up: later clients wait in the kernel, and "
        "are served even if they gave up"
    )
    add("maxconn", slots_s, words, False)
    add("kernel", queue_s if queue_s <= LONGEST_S else None, retries, True)
    return found


def _bound_fill(bound: Bound, at_s: Optional[float]) -> Tuple[str, Optional[float], str, bool]:
    words = f"the gate's limit of {bound.most:,} ({bound.by}) is reached: further requests get 503"
    return "gate", at_s, words, True


def _process_fills(seen: Seen, frontends: Sequence[_Frontend]) -> List[Fills]:
    """Of what its frontends share."""
    gates = [one for one in frontends if one.by_gate]
    found = []
    shared = [one.bound for one in gates if one.bound and one.bound.by != "--max-waiting"]
    rate = sum(one.rate for one in gates)
    if shared and rate > 0:
        bound = min(shared, key=lambda one: one.most)
        times = [one.full_after(bound.most * one.rate / rate) for one in gates if one.rate > 0]
        if None not in times:
            what, at_s, words, fails = _bound_fill(bound, max(time or 0.0 for time in times))
            found.append(Fills(what, at_s or 0.0, words, fails))
    connections = sum(one.connections_per_s for one in gates)
    if seen.maxconn is not None and seen.connections is not None and connections > 0:
        at_s = max(0, seen.maxconn - seen.connections) / connections
        # Those that a gate refuses, or its frontend does not accept, use none up.
        used = sum(
            min(one.limit - (one.open or 0), one.bound.most if one.bound else one.limit)
            for one in gates
        )
        if at_s <= LONGEST_S and used >= seen.maxconn - seen.connections:
            words = (
                f"maxconn {seen.maxconn:,} of the whole HAProxy is used up: no frontend of it "
                "accepts clients"
            )
            found.append(Fills("global", at_s, words, True))
    return found


def _server_fills(
    seen: Seen, frontends: Sequence[_Frontend], backends: Sequence[_Backend]
) -> List[Fills]:
    """When the last one that is released would be in a queue for too long."""
    rate = sum(one.rate for one in frontends)
    found = []
    for one in backends:
        capacity = one.capacity
        if capacity is None or one.slots is None or rate <= 0:
            continue
        known = seen.queues_s is not None
        queue_s = QUEUE_S if seen.queues_s is None else seen.queues_s.get(one.name, math.inf)
        at_s = (queue_s * capacity + one.slots) / (rate * one.share)
        if at_s <= LONGEST_S:
            words = (
                f"more waits than the servers of backend '{one.name}' take ({one.slots:,} at a "
                f"time, {one.answer_s * 1000:.0f} ms each): once released, the last one would be "
                f"in their queue for {queue_s:g} s, where 'timeout queue' "
                + ("ends it" if known else "may end it")
            )
            found.append(Fills("servers", at_s, words, True))
    return found


def _herd(count: Optional[int], backends: Sequence[_Backend]) -> Optional[Herd]:
    """The backend that takes longest; one whose servers take any number is the worst, because
    nobody knows how long they take.
    """
    if count is None:
        return None
    worst: Optional[Tuple[float, Herd]] = None
    for one in backends:
        herd = _herd_of(count, one)
        time = math.inf if herd.last_wait_s is None else herd.last_wait_s
        if worst is None or time > worst[0]:
            worst = time, herd
    return worst[1] if worst else Herd(count, None, None, None, None)


def _herd_of(count: int, one: _Backend) -> Herd:
    capacity = one.capacity
    if capacity is None or one.slots is None:
        return Herd(count, one.name, None, None, None)
    mine = count * one.share
    queued = max(0.0, mine - one.slots)
    left = capacity - one.rate
    servers_s = queued / left if left > 0 else None
    return Herd(count, one.name, one.slots, queued / capacity, servers_s if queued else 0.0)


def _drain_s(look: Look, flying: float, backends: Sequence[_Backend]) -> float:
    """Until the last one of so many is done, if their times are spread as waiting times are; no
    longer than the longest that this HAProxy has seen.
    """
    rate = sum(one.rate for one in backends)
    if not flying or not rate:
        return 0.0
    each_s = flying / rate
    last_s = each_s * (math.log(max(1.0, flying)) + 0.58 if flying > 1 else 1.0)
    names = {one.name for one in backends}
    longest = [
        row.number("ttime_max") or 0
        for row in look.rows
        if row.type == BACKEND and row.pxname in names
    ]
    most_s = max(longest, default=0) / 1000
    return min(last_s, most_s) if most_s > 0 else last_s


# --- what follows from it -------------------------------------------------------------


def _advice(haproxies: Sequence[RehearsedHaproxy]) -> Tuple[Optional[float], str]:
    """The longest hold that nothing speaks against, and what speaks against a longer one."""
    limits: List[Tuple[float, str]] = []
    for one in haproxies:
        name = one.endpoint_name or one.endpoint
        for fill in one.fills:
            if fill.fails:
                limits.append((fill.at_s * MARGIN, f"{name}: after {_s(fill.at_s)} {fill.words}"))
        for cut in one.cuts:
            # HAProxy's own seconds are whole.
            limits.append((cut.after_s - 1, f"{name}: after {_s(cut.after_s)} {cut.words}"))
    if not limits:
        return None, "nothing that was seen limits it"
    longest, reason = min(limits)
    if longest >= LONGEST_S:
        return None, "nothing that was seen limits it"
    return max(0.0, _rounded(longest)), reason


def _notes(haproxies: Sequence[RehearsedHaproxy], drain_timeout_s: float) -> List[str]:
    notes = []
    for one in haproxies:
        name = one.endpoint_name or one.endpoint
        if one.drain_s is not None and 0 < drain_timeout_s < one.drain_s:
            notes.append(
                f"{name}: the drain may take {_s(one.drain_s)}, longer than --drain-timeout "
                f"({drain_timeout_s:g} s): the hold would be rolled back"
            )
        if one.herd and one.herd.count and one.herd.backend and one.herd.slots is None:
            notes.append(
                f"{name}: a server of backend '{one.herd.backend}' has no maxconn: it gets all at "
                "once, and how long that takes is unknown; 'resume --ramp' spreads it"
            )
        elif one.herd and one.herd.servers_s is None and one.herd.slots is not None:
            notes.append(
                f"{name}: the servers of backend '{one.herd.backend}' serve no more than comes: "
                "their queue would not get empty again"
            )
        if one.passing_per_s:
            notes.append(
                f"{name}: {one.passing_per_s:.1f} requests per second come on open connections, "
                "and pass a hold by maxconn"
            )
    return notes


def _rounded(seconds: float) -> float:
    """Down, to what somebody types."""
    return math.floor(seconds) if seconds >= 10 else math.floor(seconds * 10) / 10


def _s(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _total(numbers: Sequence[Optional[int]]) -> Optional[int]:
    known = [one for one in numbers if one is not None]
    return sum(known) if known and len(known) == len(numbers) else None


def _sum(numbers: Sequence[Optional[float]]) -> Optional[float]:
    known = [one for one in numbers if one is not None]
    return sum(known) if known and len(known) == len(numbers) else None
