"""The fleet: one command to all endpoints at once, and holds over all of them."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)

import stillgate._core as _core
import stillgate.tables  # noqa: F401  (results print by it)
from stillgate.cutovers import cutover_named
from stillgate.errors import InputError, ReportError, TooLate, error_of
from stillgate.events import Listener, Teller, to_listener
from stillgate.held_after import held_behind, tell_held
from stillgate.measured import note, note_ended, note_step
from stillgate.options import EventFormat, Expiry, Method, OnReload, call_names
from stillgate.past_holds import ended_by_haproxy, with_history
from stillgate.rehearsing import rehearse
from stillgate.results.cutover import Cutover
from stillgate.results.from_core import to_outcome, to_report
from stillgate.results.haproxy import Info, StatRow
from stillgate.results.lists import Answers, Outcomes
from stillgate.results.outcome import Answer, Error, Outcome
from stillgate.results.rehearsal import Rehearsal
from stillgate.results.report import Report
from stillgate.suspension import AnyFleet, Suspending, Suspension
from stillgate.watching import GateWatch, GuardWatch, Watch

if TYPE_CHECKING:
    from stillgate.cutover_leash import CutoverLeash
    from stillgate.look_after import Process

T = TypeVar("T")
RETRY_FOR = 10.0  # seconds, where a call says nothing else
RETRY_BACK = 1.0  # seconds that one attempt to take a cutover back takes at most
# Options of suspended() that are those of resume().
RELEASING = ("ramp", "wait_up", "wait_up_for", "retry_for")
log = logging.getLogger("stillgate")


class Fleet:
    """An ordered list of endpoints: `unix:///run/haproxy/admin.sock`, the bare path, or
    `tcp://host:9999`; `NAME=` in front gives one a short name.

    Timeouts are seconds per endpoint and phase, 0.001 to 3600: until the connection is open, until
    HAProxy's first answer, from the command to the complete reply. `max_reply_bytes` limits one
    reply, 1,000 bytes to 1 GiB. `frontends` and `max_hold` are for calls that give none,
    `cutovers` for calls that name one. Wrong
    input raises InputError, with nothing sent. Ctrl-C raises KeyboardInterrupt within 100 ms. One
    call at a time per Fleet; progress() from any thread.

    `on_event` gets the events of holds. A shell command gets each as a line in `event_format`
    (json, syslog, journald) on its standard input, and is not waited for. A function gets each as a
    dict, on the calling thread (for suspended() on another thread). The call's return waits
    for the function, the hold does not; an exception of the function is logged.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        frontends: Iterable[str] = (),
        max_hold: float = 15.0,
        connect_timeout: float = 2.0,
        greeting_timeout: float = 2.0,
        reply_timeout: float = 5.0,
        max_reply_bytes: int = 64 * 1024 * 1024,
        on_event: Union[str, Listener, None] = None,
        event_format: EventFormat = "json",
        cutovers: Iterable[Cutover] = (),
    ) -> None:
        if isinstance(endpoints, str):
            raise InputError(
                "bad_endpoint", "endpoints: must be a list, not one string", "endpoints"
            )
        self._options: Dict[str, Any] = {
            "connect_timeout": connect_timeout,
            "greeting_timeout": greeting_timeout,
            "reply_timeout": reply_timeout,
            "max_reply_bytes": max_reply_bytes,
            "event_format": event_format,
        }
        self._on_event = on_event
        listener = None if isinstance(on_event, str) else on_event
        if listener is not None and not callable(listener):
            raise InputError("bad_option", "on_event: must be a command or a function", "on_event")
        self._on_line = to_listener(listener)
        self._given = [_text("endpoints", str(one)) for one in endpoints]
        self._core = _core.Fleet(
            self._given,
            on_event=_text("on_event", on_event) if isinstance(on_event, str) else "",
            **self._options,
        )
        self._stopped = threading.Event()  # ends a pause between two calls of the engine
        self.frontends = [_text("frontend", name) for name in frontends]
        self.max_hold = max_hold
        self.cutovers = {one.name: one for one in cutovers}

    @classmethod
    def load(cls, name: str, inventory: Optional[str] = None, **options: Any) -> Fleet:
        """The fleet of that name from an inventory file: `inventory`, else $STILLGATE_INVENTORY,
        ./stillgate.toml, ~/.config/stillgate/, /etc/stillgate/. Options given here (timeouts and
        events, as of Fleet) come before the file's. Errors: InventoryError.
        """
        from stillgate.inventory import load_fleet

        entry = load_fleet(name, inventory)
        chosen: Dict[str, Any] = {**entry.options, **options}
        cutovers = entry.cutovers.values()
        return cls(entry.endpoints, frontends=entry.frontends, cutovers=cutovers, **chosen)

    @property
    def endpoints(self) -> List[str]:
        """Canonical URLs, in input order."""
        return self._core.endpoints

    def progress(self) -> Tuple[str, int, int, Optional[int]]:
        """The running call's phase, endpoints connected, endpoints answered, and while it drains
        the requests in flight. From any thread.
        """
        return self._core.progress()

    def execute(self, command: str, payload: Optional[str] = None) -> Outcomes:
        """Sends one runtime command to all endpoints; one outcome per endpoint, in order. A
        failed endpoint raises nothing. `payload` is what follows `<<` in HAProxy's syntax.
        """
        asked = self._core.execute(_text("command", command), _text("payload", payload))
        outcomes = Outcomes(to_outcome(one) for one in asked)
        failed = sum(not one.ok for one in outcomes)
        # Only the command's first word: the rest may be a secret.
        log.info("%s: %d asked, %d failed", command.split()[0], len(outcomes), failed)
        return outcomes

    def info(self) -> Answers[Info]:
        """`show info` of all endpoints, typed."""
        return self._typed("show info", Info.parse)

    def stat(self) -> Answers[List[StatRow]]:
        """`show stat` of all endpoints, typed."""
        return self._typed("show stat", StatRow.parse)

    def check(
        self,
        *frontends: str,
        method: Method = "auto",
        accept_unproven: bool = False,
        on_expiry: Expiry = "release",
        on_reload: OnReload = "release",
        max_waiting: int = 0,
        max_hold: Optional[float] = None,
        drain_timeout: float = 5.0,
        drain_except: str = "",
        accept_hazard: bool = False,
        accept_shared_fate: bool = False,
        cutover: Union[str, Cutover, None] = None,
        ready_first: float = 0.0,
    ) -> Report:
        """Everything that would stop or endanger such a hold, or that cutover. Changes nothing;
        findings raise nothing. With `ready_first` above 0 servers count as up that suspended()
        would have checked first with it; `report.cutover.unshown` names them.
        """
        options = self._told("check", locals())
        names = self._named(frontends)
        return to_report(self._core.check(names, on_line=self._on_line, **options))

    def rehearse(
        self,
        *frontends: str,
        watch: float = 5.0,
        method: Method = "auto",
        accept_unproven: bool = False,
        on_expiry: Expiry = "release",
        on_reload: OnReload = "release",
        max_waiting: int = 0,
        max_hold: Optional[float] = None,
        drain_timeout: float = 5.0,
        drain_except: str = "",
        accept_hazard: bool = False,
        accept_shared_fate: bool = False,
    ) -> Rehearsal:
        """What such a hold would do to the traffic of now: watches it for `watch` seconds (1 to
        600), and holds nothing. Begins with the check; findings raise nothing.
        """
        options = self._told("rehearse", locals())
        del options["watch"]
        self._stopped.clear()

        def check() -> Report:
            return self.check(*frontends, **options)

        return rehearse(self, self._of, check, watch, options, self._stopped.wait)

    def _of(self, endpoints: List[str]) -> Fleet:
        """The same for some of its endpoints, by their URLs."""
        return Fleet(endpoints, **self._options)

    def suspend(
        self,
        *frontends: str,
        method: Method = "auto",
        accept_unproven: bool = False,
        on_expiry: Expiry = "release",
        on_reload: OnReload = "release",
        max_waiting: int = 0,
        no_lease: bool = False,
        max_hold: Optional[float] = None,
        drain_timeout: float = 5.0,
        drain_except: str = "",
        accept_hazard: bool = False,
        accept_shared_fate: bool = False,
        owner: Optional[str] = None,
        reason: str = "",
    ) -> Report:
        """Holds the frontends at all endpoints, or at none, and returns when the requests already
        in flight have been served. `method` is gate, maxconn, or auto: the gate where it is proven,
        else maxconn where that is safe; `accept_unproven` accepts a gate that is loaded but not
        proven. After `max_hold`, 0.1 to 3600 s, a gate ends the hold by itself: it releases, or
        with `on_expiry` "reject" answers 503 until somebody resumes. In a worker that a reload
        replaces it holds on, and sends them to that worker's servers at the end; with `on_reload`
        "reject" it answers 503 there at once. Above `max_waiting` requests
        per frontend it answers 503 too; 0 is no limit. A hold by maxconn is ended by a guard, a
        process on this machine that outlives this one; with `no_lease` only a resume ends it. Where
        the guard would end with whoever starts it, as in a container whose PID 1 started this
        process, such a hold is refused (guard_shares_fate), except with `accept_shared_fate`.
        `drain_timeout` is 0 to 3600 s, 0 does not wait. `drain_except` names backends that it does
        not wait for, with commas between. `owner` is user@host by default.

        Errors: CheckRefused, HeldByOther (nothing was changed), EndpointFailed (rolled back). Of
        whatever else is raised, Ctrl-C's exception too, `StillHeld.of()` tells what could not be
        rolled back.
        """
        options = self._told("suspend", locals())
        return self._suspend(_logged, self._named(frontends), options, self._on_line)

    def resume(
        self,
        *frontends: str,
        ramp: float = 0.0,
        limit: Optional[int] = None,
        wait_up: bool = False,
        wait_up_for: str = "",
        cutover: Union[str, Cutover, None] = None,
        accept_hazard: bool = False,
        retry_for: float = 10.0,
        hold: Optional[str] = None,
        owner: Optional[str] = None,
        force: bool = False,
        reason: str = "",
    ) -> Report:
        """Releases the frontends at every endpoint that it can reach. Restores the old limit, or
        `limit` (1 to 2,147,483,647), at once or over `ramp` seconds (0 to 3600). With `wait_up`
        only after each backend has a server that is up, shown by a check that passed after its last
        change of state, but for those that had none when the hold began; `wait_up_for` names the
        backends to wait for, with commas between. Retries unreachable HAProxies, and backends that
        are not up, for `retry_for` seconds (0 to 3600). Repeatable: an open frontend is fine.

        A `cutover`, by its name or as it is, is applied to all HAProxies before anything is
        released. If it cannot be had everywhere, it is undone everywhere, nothing is released, and
        `report.cutover` says why: the hold stays in effect until its deadline. Should this process
        be killed in the cutover, the leash completes it, or undoes it everywhere; where that cannot
        be started, StillgateError `leash_failed` is raised, with nothing changed. After the release
        the call looks for a second whether a reload has lost it: then it is applied again, and
        EndpointFailed with the code `cutover_lost` is raised. Servers that the reload has brought
        to `maint` are checked first, for `retry_for` seconds.

        Before its deadline only the holder ends a hold: the same `owner` (user@host by default), or
        the machine and user whose journal has it, or whoever gives its id as `hold`, which ends no
        other hold. `force` overrules, and needs a `reason`.

        Errors: EndpointFailed, HeldByOther (nothing was released), TooLate (the hold had ended
        before; told once).
        """
        return self._resume(_as_it_is, frontends, self._told("resume", locals()))

    def resume_then(self, receive: Callable[[Report], T], *frontends: str, **options: Any) -> T:
        """As resume(), and calls `receive(report)`, which may show it: also where a signal ends the
        look after a cutover, when all is released. Returns what `receive` returns.
        """
        arguments: Dict[str, Any] = dict.fromkeys(call_names("resume"))
        return self._resume(receive, frontends, self._told("resume", {**arguments, **options}))

    def _resume(
        self, receive: Callable[[Report], T], frontends: Tuple[str, ...], options: Dict[str, Any]
    ) -> T:
        names = self._named(frontends)
        with self._continued(options.get("cutover")) as leash:
            report = to_report(self._core.resume(names, on_line=self._on_line, **options))
        note(report, cut_at=leash.ended_at if leash else None)
        if _is_cut_over(report):
            try:
                retry_for = options.get("retry_for", RETRY_FOR)
                report = self._looked_after(report, options["cutover"], retry_for)
            except KeyboardInterrupt:
                receive(_logged(_well(report)))
                raise
        return receive(_logged(_well(report)))

    def extend(
        self,
        *frontends: str,
        seconds: float,
        hold: Optional[str] = None,
        owner: Optional[str] = None,
        force: bool = False,
        reason: str = "",
    ) -> Report:
        """Moves the deadline of the hold on these frontends by `seconds` (0.1 to 3600). Only its
        holder may, as with resume().

        Errors: CheckRefused (no hold with a deadline), HeldByOther (nothing was changed),
        EndpointFailed (there the hold ends at its old deadline).
        """
        options = self._told("extend", locals())
        names = self._named(frontends)
        report = to_report(self._core.extend(names, on_line=self._on_line, **options))
        return _logged(_well(report))

    def cutover(
        self,
        cutover: Union[str, Cutover],
        *,
        ready_first: float = 0.0,
        back: bool = False,
        dry_run: bool = False,
        retry_for: float = 10.0,
    ) -> Report:
        """Changes what serves, on every HAProxy or on none: a cutover of the inventory by its name,
        or as it is. Proves first that each server, map and key exists, and that no backend that it
        touches is left without a server that is up. The old values are kept on record, and
        `back` restores it. With `ready_first` its servers are first brought to `drain`, where
        HAProxy checks them; if a check has not shown each of them to be up within so many seconds
        (0 to 3600), they go back to `maint` and nothing is changed; a `dry_run` counts them as up,
        and says so. Where an answer is lost it asks
        again for `retry_for` seconds (0 to 3600), and then undoes it everywhere. `report.cutover`
        has each change.

        Errors: CheckRefused (nothing was changed), EndpointFailed (undone, or unknown).
        """
        options = self._told("cutover", locals())
        if back and isinstance(cutover, str):
            wanted = self.cutovers.get(cutover) or Cutover(cutover)
        else:
            wanted = self._cutover(cutover)
        report = to_report(self._core.cutover(cutover=wanted.told(), **options))
        if report.cutover is not None:
            report = replace(report, cutover=replace(report.cutover, back=back))
        return _logged(_well(report))

    def status(self, *frontends: str) -> Report:
        """What is held, by whom and since when, and what leaked; without frontends, for all
        frontends. Changes nothing; an endpoint that does not answer raises nothing. Adds from this
        machine's history what the guard did to a hold, and which holds expired.
        """
        report = with_history(to_report(self._core.status(self._named(frontends))))
        note_ended(report, ended_by_haproxy(report), self._counted_for)
        return report

    def _counted_for(
        self, endpoints: Sequence[str], frontends: Sequence[str]
    ) -> Dict[str, Dict[str, str]]:
        """For which hold each gate has its counters, by endpoint and frontend."""
        found: Dict[str, Dict[str, str]] = {}
        command = " ".join(["stillgate status", *frontends])
        for outcome in self._of(list(endpoints)).execute(command):
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                told = json.loads(outcome.reply or "")["frontends"]
                ids = {name: one.get("counted_for") for name, one in told.items()}
                found[outcome.endpoint] = {name: one for name, one in ids.items() if one}
        return found

    def look(self, *frontends: str) -> Report:
        """As status(), for who looks often: over connections that stay open from look to look.
        Under maxconn `waiting` is then the length of the kernel's queue, for an HAProxy on this
        machine.
        """
        report = to_report(self._core.look(self._named(frontends)))
        note(report)
        return report

    def suspended(
        self,
        *frontends: str,
        method: Method = "auto",
        accept_unproven: bool = False,
        on_expiry: Expiry = "release",
        on_reload: OnReload = "release",
        max_waiting: int = 0,
        max_hold: Optional[float] = None,
        drain_timeout: float = 5.0,
        drain_except: str = "",
        ramp: float = 0.0,
        wait_up: bool = False,
        wait_up_for: str = "",
        accept_hazard: bool = False,
        retry_for: float = 10.0,
        cutover: Union[str, Cutover, None] = None,
        ready_first: float = 0.0,
        owner: Optional[str] = None,
        reason: str = "",
        at_deadline: Optional[Callable[[], object]] = None,
    ) -> Suspending:
        """Suspends, and resumes however the `with` block, or the decorated function, ends.
        `max_hold` seconds after the hold began, this process resumes even if the block still runs,
        and calls `at_deadline` on another thread; the block then ends with HoldExpired. The same
        happens if somebody else's resume, or somebody by hand, has ended the hold.
        `hold.remaining` is the seconds left, and `hold.extend(seconds)` adds more; so does an
        `extend` from elsewhere, within a second.
        A `cutover`, by its name or as it is, is proven before anything is held, and applied to all
        HAProxies inside the hold when the block ends without an exception. If it cannot be had
        everywhere, it is undone everywhere, and nothing is released: the old code would meet what
        the block has done. The end raises CheckRefused or EndpointFailed, with StillHeld as its
        cause; undo the work, and resume(), before the deadline does. `hold.apply_cutover()` applies
        it inside the block, which can then undo its work itself. `hold.cut_over = False` leaves it
        out. Once all is released, the end of the block looks for a second whether a reload has
        lost it, as resume() does. Should this process be killed in the cutover, the leash continues
        it, as that of resume(); it is a child of this process until the block has ended.
        With `ready_first` the cutover's servers are brought to `drain` before anything is
        held; if a check has not shown each of them to be up within so many seconds (0 to 3600),
        they go back to `maint`, and CheckRefused is raised.
        If the block and the resume both fail, the resume's exception is raised with the block's as
        its context. If this process is killed, the gate or the guard ends the hold at its
        deadline; a finding `guard_shares_fate` says where the guard would be killed, too.
        `ramp`, `wait_up`, `wait_up_for` and `retry_for` are those of resume(), for the end of the
        block; at the deadline nothing is waited for. A backend of `wait_up_for` that an HAProxy
        does not have is refused before anything is held. Where no server is up in time the end
        raises EndpointFailed (`application_down`), and the frontends are held until the deadline.
        The other options are those of suspend().
        """
        options = self._told("hold", locals())
        release = {name: options.pop(name) for name in RELEASING}
        options["wait_up_for"] = release["wait_up_for"]  # whose names are looked for now
        names = self._named(frontends)
        self._core.custody(**release)  # which refuses what is wrong now, not at the end
        return Suspending(
            lambda: Suspension(*_holding(self, names, options, release), at_deadline),
            lambda: Suspension(*_holding(self.twin(), names, options, release), at_deadline),
        )

    def stop(self) -> None:
        """Ends the running call, or the next one, early: a suspend rolls back, and raises
        KeyboardInterrupt as after Ctrl-C. From any thread.
        """
        self._stopped.set()
        self._core.stop()

    def twin(self) -> Fleet:
        """A copy of the fleet, for another thread or for a call during a call."""
        return Fleet(
            self._given,
            frontends=self.frontends,
            max_hold=self.max_hold,
            on_event=self._on_event,
            cutovers=self.cutovers.values(),
            **self._options,
        )

    def suspend_then(self, receive: Callable[[Report], T], *frontends: str, **options: Any) -> T:
        """As suspend(), and calls `receive(report)`, which may show it. An exception of `receive`
        takes the hold back. Returns what `receive` returns.
        """
        told = {name: _text(name, one) for name, one in options.items() if one is not None}
        told.setdefault("max_hold", self.max_hold)
        return self._suspend(receive, self._named(frontends), told, self._on_line)

    def _suspend(
        self,
        receive: Callable[[Report], T],
        names: List[str],
        options: Mapping[str, Any],
        on_line: Optional[Callable[[str], None]],
    ) -> T:
        return self._suspend_as(self._core.custody(), receive, names, options, on_line)

    def _suspend_as(
        self,
        custody: _core.Custody,
        receive: Callable[[Report], T],
        names: List[str],
        options: Mapping[str, Any],
        on_line: Optional[Callable[[str], None]],
    ) -> T:
        """Until it returns the hold is in custody: a signal may raise after any instruction."""
        try:
            core = self._core.suspend(names, custody=custody, on_line=on_line, **options)
            return receive(_noted(_well(to_report(core))))
        except BaseException as left:
            custody.take_back(left, _tell_held)
            raise

    @contextmanager
    def _continued(self, cutover: Any) -> Iterator[Optional[CutoverLeash]]:
        """Should this process be killed in it, the leash continues that cutover of a call in here.
        Errors: StillgateError, where there is none.
        """
        if cutover is None:
            yield None
            return
        with self._leash(cutover) as leash:
            self._core.watch_cutovers(leash.begins, leash.ended)
            try:
                yield leash
            finally:
                self._core.watch_cutovers(None, None)

    def _looked_after(
        self,
        released: Report,
        cutover: Dict[str, Any],
        retry_for: float,
        ready_first: float = 0.0,
        inside: Optional[Report] = None,
        before: Optional[Mapping[str, Process]] = None,
    ) -> Report:
        """`inside`: of the cutover, where it is not part of the release."""
        from stillgate.look_after import Sought, look_after, written_at

        written = written_at(released, inside)
        sought = Sought(Cutover(**cutover), retry_for, ready_first, written)
        return look_after(self, released, sought, before or {})

    def _processes(self) -> Dict[str, Process]:
        from stillgate.look_after import processes

        return processes(self)

    def _leash(self, cutover: Any) -> CutoverLeash:
        from stillgate.cutover_leash import CutoverLeash

        fleet = {"endpoints": self._given, "options": self._options}
        return CutoverLeash({"fleet": fleet, "cutover": cutover})

    def _told(self, verb: str, arguments: Mapping[str, Any]) -> Dict[str, Any]:
        """The options among a verb's arguments; for None the engine has the default."""
        options = {name: _text(name, arguments[name]) for name in call_names(verb)}
        if "max_hold" in options and options["max_hold"] is None:
            options["max_hold"] = self.max_hold
        if options.get("cutover") is not None:
            options["cutover"] = self._cutover(options["cutover"]).told()
        return {name: value for name, value in options.items() if value is not None}

    def _cutover(self, given: Union[str, Cutover]) -> Cutover:
        return given if isinstance(given, Cutover) else cutover_named(self.cutovers, given)

    def _named(self, frontends: Tuple[str, ...]) -> List[str]:
        return [_text("frontend", name) for name in frontends] or self.frontends

    def _typed(self, command: str, parse: Callable[[str], T]) -> Answers[T]:
        return Answers(_typed_answer(outcome, parse) for outcome in self.execute(command))


class _HoldCalls:
    """The calls of a hold of suspended(). During the block they use another fleet, because the
    block may be in the middle of a call of this one. Events and log lines go through `teller`.
    """

    def __init__(
        self,
        fleet: Fleet,
        names: List[str],
        options: Dict[str, Any],
        release: Dict[str, Any],
        teller: Teller,
    ) -> None:
        self._fleet = fleet
        self._names = names
        self._options = options
        self._retry_for = release["retry_for"]
        self.cut: Optional[Report] = None
        self._teller = teller
        self._on_line = teller.telling(fleet._on_line)
        # Of a fleet that makes no other call, and that is there before the hold.
        self._ending = fleet.twin()._core
        self._custody = self._ending.custody(**release)
        self.stop = self._custody.stop
        self._leash: Optional[CutoverLeash] = None
        self._leashed = ExitStack()
        self._before: Dict[str, Process] = {}

    def prepare(self) -> None:
        if "cutover" in self._options:
            self._before = self._fleet._processes()

    def suspend(self, leashed: bool) -> Report:
        options = {**self._options, "holder_stays": True}
        try:
            if leashed and "cutover" in options:
                self._leash = self._leashed.enter_context(self._fleet._leash(options["cutover"]))
            return self._fleet._suspend_as(
                self._custody, self._log, self._names, options, self._on_line
            )
        except BaseException:
            self._leashed.close()
            raise

    def _watch(self, core: _core.Fleet) -> None:
        if self._leash is not None:
            core.watch_cutovers(self._leash.begins, self._leash.ended)

    def _log(self, report: Report) -> Report:
        self._teller.tell(lambda: _logged(report))
        return report

    def watches(self, report: Report) -> List[Watch]:
        looking = self._fleet.twin()
        deadline = report.holds[0].deadline or 0.0
        return [
            GuardWatch(self._fleet._core, deadline, self._on_line, self._teller.tell),
            GateWatch(report, lambda: self._look(looking), looking.stop),
        ]

    def _look(self, looking: Fleet) -> Report:
        report = to_report(looking._core.status(self._names))
        self._teller.tell(lambda: note(report))
        return report

    def release(self, at_deadline: bool, plain: bool, cut_over: bool) -> Report:
        cutover = self._options.get("cutover", {}) if cut_over else {}
        self._watch(self._ending)
        try:
            self._custody.end(at_deadline, plain, cutover)
        finally:
            self._leashed.close()
        if self._custody.ended is None:
            held = held_behind(self._custody)
            raise held or RuntimeError(self._custody.failure)
        ended = to_report(self._custody.ended)
        self._teller.tell(lambda: note(ended))
        return self._log(_well(ended))

    def look_after(self, released: Report) -> Report:
        return self._fleet.twin()._looked_after(
            released,
            self._options["cutover"],
            self._retry_for,
            self._options["ready_first"],
            self.cut,
            self._before,
        )

    def extend(
        self, hold: str, by: float, fleet: Optional[AnyFleet], keep: Optional[float] = None
    ) -> Report:
        if keep is None:
            return (fleet or self._fleet.twin()).extend(*self._names, seconds=by, hold=hold)
        core = cast(Fleet, fleet or self._fleet.twin())._core
        options = {"seconds": by, "hold": hold, "for_cutover": True, "keep": keep}
        report = to_report(core.extend(self._names, on_line=None, **options))
        return self._log(_well(report))

    def mark(self, hold: str, what: str, words: str) -> None:
        at = time.time()
        self._teller.tell(lambda: note_step(hold, what, words, at))

    def apply_cutover(
        self, hold: str, keep: float, fleet: Optional[AnyFleet], dry_run: bool = False
    ) -> Report:
        wanted = self._options.get("cutover")
        if wanted is None:
            raise InputError("bad_option", "cutover: suspended() was given none", "cutover")
        inside = {"hold": hold, "frontends": self._names, "keep": keep, "dry_run": dry_run}
        core = cast(Fleet, fleet or self._fleet.twin())._core
        self._watch(core)
        try:
            report = to_report(core.cutover(cutover=wanted, retry_for=self._retry_for, **inside))
        finally:
            # A signal's exception takes the result away, and not what has been done.
            self.cut = None if core.cut is None else to_report(core.cut)
        return self._log(_well(report))

    def told(self) -> Dict[str, Any]:
        fleet = {"endpoints": self._fleet._given, "options": self._fleet._options}
        return {
            "fleet": fleet,
            "frontends": self._names,
            "cutover": self._options.get("cutover"),
            "retry_for": self._retry_for,
        }

    def take_cutover_back(self) -> Optional[Report]:
        wanted = self._options["cutover"]
        core = self._fleet.twin()._core.cutover(cutover=wanted, back=True, retry_for=RETRY_BACK)
        report = to_report(core)
        return self._log(report) if report.ok else None


def _holding(
    fleet: Fleet, names: List[str], options: Dict[str, Any], release: Dict[str, Any]
) -> Tuple[_HoldCalls, Teller, float]:
    teller = Teller()
    return _HoldCalls(fleet, names, options, release, teller), teller, options["max_hold"]


def _text(field: str, value: T) -> T:
    """The value; a text must have UTF-8, which not all names of files have. Errors: InputError."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError("bad_option", f"{field}: is not valid UTF-8", field) from None
    return value


def _typed_answer(outcome: Outcome, parse: Callable[[str], T]) -> Answer[T]:
    if outcome.reply is None:
        return Answer(outcome.endpoint, None, outcome.error, outcome.endpoint_name)
    try:
        return Answer(outcome.endpoint, parse(outcome.reply), None, outcome.endpoint_name)
    except InputError as error:
        broken = Error(error.code, error.message, None, outcome.reply)
        return Answer(outcome.endpoint, None, broken, outcome.endpoint_name)


def _tell_held(custody: _core.Custody, left: BaseException) -> None:
    # A report tells it itself.
    if not isinstance(left, ReportError):
        tell_held(left, held_behind(custody))


def _as_it_is(report: Report) -> Report:
    return report


def _is_cut_over(resumed: Report) -> bool:
    """Whether a resume has applied its cutover, and let all go to it: whoever has to hear of
    something that is still held hears it at once.
    """
    applied = resumed.cutover is not None and resumed.cutover.state == "applied"
    return applied and resumed.exit_status in (0, TooLate.exit_status)


def _well(report: Report) -> Report:
    if report.exit_status == 130:
        raise KeyboardInterrupt
    if not report.ok:
        raise error_of(report)
    return report


def _noted(report: Report) -> Report:
    note(report)
    return report


def _logged(report: Report) -> Report:
    log.info("%s: %d switches", report.action, len(report.switches))
    return report
