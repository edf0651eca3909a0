"""The fleet: one command to all endpoints at once, and holds over all of them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, TypeVar

from stillgate import _core
from stillgate.errors import InputError, error_of
from stillgate.report import Answer, Error, Info, Outcome, Report, StatRow, to_outcome, to_report

T = TypeVar("T")
log = logging.getLogger("stillgate")


class Fleet:
    """An ordered list of endpoints: `unix:///run/haproxy/admin.sock`, the bare path, or
    `tcp://host:9999`.

    Timeouts are seconds per endpoint and phase, 0.001 to 3600: until a connection stands, until
    HAProxy's first word, from the command to the complete reply. `max_reply_bytes` is the cap of
    one reply, 1,000 to 1 GiB. Wrong input raises InputError, with nothing sent. Ctrl-C raises
    KeyboardInterrupt within 100 ms. One call at a time per Fleet; progress() from any thread.
    """

    def __init__(
        self,
        endpoints: Iterable[str],
        *,
        frontends: Iterable[str] = (),
        connect_timeout: float = 2.0,
        greeting_timeout: float = 2.0,
        reply_timeout: float = 5.0,
        max_reply_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        if isinstance(endpoints, str):
            raise InputError("bad_endpoint", "endpoints: a list is wanted, not a text", "endpoints")
        self._core = _core.Fleet(
            [str(one) for one in endpoints],
            connect_timeout=connect_timeout,
            greeting_timeout=greeting_timeout,
            reply_timeout=reply_timeout,
            max_reply_bytes=max_reply_bytes,
        )
        self.frontends = list(frontends)

    @classmethod
    def load(cls, name: str, inventory: Optional[str] = None, **timeouts: float) -> Fleet:
        """The fleet of that name from an inventory file: `inventory`, else $STILLGATE_INVENTORY,
        ./stillgate.toml, ~/.config/stillgate/, /etc/stillgate/. Timeouts given here come before
        the file's. Errors: InventoryError.
        """
        from stillgate.inventory import load_fleet

        entry = load_fleet(name, inventory)
        chosen: Dict[str, Any] = {**entry.timeouts, **timeouts}
        return cls(entry.endpoints, frontends=entry.frontends, **chosen)

    @property
    def endpoints(self) -> List[str]:
        """Canonical URLs, in input order."""
        return self._core.endpoints

    def progress(self) -> Tuple[str, int, int]:
        """The running call's phase, endpoints connected, endpoints answered. From any thread."""
        return self._core.progress()

    def execute(self, command: str, payload: Optional[str] = None) -> List[Outcome]:
        """Sends one runtime command to all endpoints; one outcome per endpoint, in order. Never
        raises for one host. `payload` is what follows `<<` in HAProxy's syntax.
        """
        outcomes = [to_outcome(one) for one in self._core.execute(command, payload)]
        failed = sum(not one.ok for one in outcomes)
        # The command's first word alone: what follows may be a secret.
        log.info("%s: %d asked, %d failed", command.split()[0], len(outcomes), failed)
        return outcomes

    def info(self) -> List[Answer[Info]]:
        """`show info` of all endpoints, typed."""
        return self._typed("show info", Info.parse)

    def stat(self) -> List[Answer[List[StatRow]]]:
        """`show stat` of all endpoints, typed."""
        return self._typed("show stat", StatRow.parse)

    def check(self, *frontends: str, accept_hazard: bool = False) -> Report:
        """All that would stop or endanger a hold; changes nothing and raises for no finding."""
        core = self._core.check(self._named(frontends), accept_hazard=accept_hazard)
        return to_report(core)

    def suspend(
        self,
        *frontends: str,
        no_lease: bool = False,
        accept_hazard: bool = False,
        owner: Optional[str] = None,
        reason: str = "",
    ) -> Report:
        """Holds the frontends at all endpoints, or at none. `owner` is user@host by default.

        Errors: CheckRefused, HeldByOther (nothing was changed), EndpointFailed (rolled back).
        """
        names = self._named(frontends)
        core = self._core.suspend(
            names,
            no_lease=no_lease,
            accept_hazard=accept_hazard,
            owner=owner or "",
            reason=reason,
        )
        try:
            return _well(to_report(core))
        except KeyboardInterrupt:
            # A Ctrl-C just behind the call: its caller would never learn of the hold.
            if core.ok:
                self._core.resume(names)
            raise

    def resume(
        self,
        *frontends: str,
        limit: Optional[int] = None,
        accept_hazard: bool = False,
        retry_for: float = 10.0,
    ) -> Report:
        """Releases the frontends wherever it can, with the limit that stood before, or `limit` (1
        to 2,147,483,647). What it cannot reach it tries again for `retry_for` seconds (0 to 3600).
        Frontends that are open already are well.

        Errors: EndpointFailed.
        """
        core = self._core.resume(
            self._named(frontends), limit=limit, accept_hazard=accept_hazard, retry_for=retry_for
        )
        return _well(to_report(core))

    @contextmanager
    def suspended(
        self,
        *frontends: str,
        no_lease: bool = False,
        accept_hazard: bool = False,
        owner: Optional[str] = None,
        reason: str = "",
    ) -> Iterator[Report]:
        """Suspends, and resumes on every way out of the block. If the block and the resume both
        fail, the resume's exception is raised with the block's as its context.
        """
        names = self._named(frontends)
        report = self.suspend(
            *names, no_lease=no_lease, accept_hazard=accept_hazard, owner=owner, reason=reason
        )
        try:
            yield report
        finally:
            self.resume(*names, accept_hazard=accept_hazard)

    def _named(self, frontends: Tuple[str, ...]) -> List[str]:
        return list(frontends) or self.frontends

    def _typed(self, command: str, parse: Callable[[str], T]) -> List[Answer[T]]:
        return [_typed_answer(outcome, parse) for outcome in self.execute(command)]


def _typed_answer(outcome: Outcome, parse: Callable[[str], T]) -> Answer[T]:
    if outcome.reply is None:
        return Answer(outcome.endpoint, None, outcome.error)
    try:
        return Answer(outcome.endpoint, parse(outcome.reply), None)
    except InputError as error:
        broken = Error(error.code, error.message, None, outcome.reply)
        return Answer(outcome.endpoint, None, broken)


def _well(report: Report) -> Report:
    if report.exit_status == 130:
        raise KeyboardInterrupt
    if not report.ok:
        raise error_of(report)
    log.info("%s: %d switches", report.action, len(report.switches))
    return report
