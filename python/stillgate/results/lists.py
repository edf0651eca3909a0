"""Lists of results: each prints as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, List, TypeVar

from stillgate.results.outcome import Answer, Outcome
from stillgate.results.printing import Printed

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")


class Outcomes(Printed, List[Outcome]):
    """A list of `Outcome`, one for each endpoint, in order. It prints as a table; where only one
    endpoint was asked, as its reply.
    """

    def _draw(self, out: Console) -> None:
        from stillgate.tables import draw_outcomes

        draw_outcomes(out, self)


class Answers(Printed, List[Answer[T]], Generic[T]):
    """A list of `Answer`, one for each endpoint, in order. It prints as a table."""

    def _draw(self, out: Console) -> None:
        from stillgate.tables import draw_answers

        draw_answers(out, self)
