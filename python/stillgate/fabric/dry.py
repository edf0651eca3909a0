"""What `fab --dry` prints: what would be sent where. Nobody is asked what is there.

Nothing here knows Fabric.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Sequence, Union

from stillgate.console.dry_cutover import ONLY_IF, Line, planned_lines
from stillgate.results.cutover import Cutover


def dry_lines(
    action: str,
    endpoints: Sequence[str],
    names: Sequence[str],
    options: Mapping[str, Any],
    command: str,
    cutover: Union[str, Cutover, None],
) -> List[str]:
    """In order, with what would be run. Of a cutover that goes back only the name may be there."""
    closing, opening = _closing(names, options), _opening(action, names, options)
    ready, cutting = _cutover_words(cutover, options)

    def each(commands: Sequence[str]) -> List[str]:
        return [f"{endpoint}: {one}" for endpoint in endpoints for one in commands]

    if action == "suspend":
        return each(closing)
    if action == "resume":
        return [*each(cutting), *each(opening)]
    if action == "cutover":
        return [*each(ready), *each(cutting)]
    if action == "extend":
        seconds = options["seconds"]
        return each([f"extend the hold of {name} by {seconds:g} s" for name in names])
    if action == "hold":
        return [
            *each(ready),
            *each(closing),
            f"run: {command}",
            *each(cutting),
            *each(opening),
        ]
    also = [] if cutover is None else ["and the cutover"]
    return each([" ".join([action, *names, *also]) + " (reads only)"])


def _closing(names: Sequence[str], options: Mapping[str, Any]) -> List[str]:
    """Only the HAProxies know which method it will be."""
    shut = {"maxconn": "set maxconn frontend {} 0", "gate": "close the gate of {}"}.get(
        options.get("method", "auto"),
        "close the gate of {0}, or set maxconn frontend {0} 0",
    )
    return [shut.format(name) for name in names]


def _opening(action: str, names: Sequence[str], options: Mapping[str, Any]) -> List[str]:
    recorded = "limit" not in options or action == "hold"
    limit = "<the limit on record>" if recorded else str(options["limit"])
    return [f"open the gate of {name}, or set maxconn frontend {name} {limit}" for name in names]


def _cutover_words(
    cutover: Union[str, Cutover, None], options: Mapping[str, Any]
) -> tuple[List[str], List[str]]:
    """What comes first of all, and the cutover itself."""
    if cutover is None:
        return [], []
    if options.get("back"):
        name = cutover.name if isinstance(cutover, Cutover) else cutover
        return [], [f"the opposite of the cutover {name}, as it is on record"]
    assert isinstance(cutover, Cutover)
    lines = planned_lines(cutover, bool(options.get("ready_first")))
    ready = [one for one in lines if one.phase == "ready"]
    return [_words(one) for one in ready], [_words(one) for one in lines if one not in ready]


def _words(line: Line) -> str:
    if line.sent is None:
        return line.words
    return f"{line.sent} ({line.words})" if line.words == ONLY_IF else line.sent
