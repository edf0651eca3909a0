"""The table of options against what is spelled out elsewhere: Python's signatures, and the engine's
bounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Optional, Union, get_type_hints

import pytest

from stillgate import Cutover, Fleet, InputError, aio
from stillgate.options import (
    BY_NAME,
    OPTIONS,
    VERBS,
    Choice,
    Flag,
    Option,
    Seconds,
    Text,
    Whole,
    call_names,
)
from stillgate.rehearsing import LEAST_S, MOST_S

NOBODY = "unix:///nowhere/a.sock"
# A verb of the table, and the method of Fleet that it is in Python.
METHODS = {
    **{verb: verb for verb in ("check", "rehearse", "suspend", "resume", "extend", "cutover")},
    "hold": "suspended",
}
# What a method has that is an option on no command line.
OTHERS = {"at_deadline"}
OF_FLEET = {one.name for one in OPTIONS if one.of == "fleet"}


def options_of(function: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    return {
        name: one
        for name, one in found.items()
        if one.kind is inspect.Parameter.KEYWORD_ONLY and name not in OTHERS
    }


def type_of(option: Option) -> Any:
    kinds = {Seconds: float, Whole: int, Flag: bool, Text: str}
    return kinds.get(type(option.kind))


def assert_spelled(option: Option, parameter: inspect.Parameter, hint: Any, may_wait: bool) -> None:
    """`may_wait`: where the call says nothing, the fleet's own counts."""
    default = None if may_wait and option.inventory else option.default
    wanted = inspect.Parameter.empty if option.argument else default
    assert parameter.default == wanted, option.name
    if isinstance(option.kind, Choice):
        assert hint.__args__ == option.kind.words, option.name
        return
    # By its name, or as it is.
    kind = Union[str, Cutover] if option.name == "cutover" else type_of(option)
    optional = default is None and not option.argument
    assert hint == (Optional[kind] if optional else kind), option.name


@pytest.mark.parametrize("fleet", [Fleet, aio.Fleet])
@pytest.mark.parametrize("verb", METHODS)
def test_a_method_has_the_options_of_its_verb(verb: str, fleet: type) -> None:
    method = getattr(fleet, METHODS[verb])
    found = options_of(method)
    assert set(found) == set(call_names(verb))
    hints = get_type_hints(getattr(Fleet, METHODS[verb]))
    for name, parameter in found.items():
        assert_spelled(BY_NAME[name], parameter, hints[name], may_wait=True)


def test_a_fleet_has_its_own() -> None:
    found = options_of(Fleet.__init__)
    assert set(found) - {"frontends", "max_reply_bytes", "cutovers"} == OF_FLEET | {"max_hold"}
    hints = get_type_hints(Fleet.__init__)
    for name in (OF_FLEET | {"max_hold"}) - {"on_event"}:
        assert_spelled(BY_NAME[name], found[name], hints[name], may_wait=False)


def test_the_table_is_sound() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    for one in OPTIONS:
        assert one.verbs and set(one.verbs) <= set(VERBS)
        assert set(one.helps) <= set(one.verbs)
        assert one.help.endswith(".") and all(text.endswith(".") for text in one.helps.values())
        if isinstance(one.kind, Choice) and one.default is not None:
            assert one.default in one.kind.words
        if isinstance(one.kind, Flag) and one.of == "call":
            assert one.default is False
    for letters in ("letter", "fabric_letter"):
        used = [getattr(one, letters) for one in OPTIONS if getattr(one, letters)]
        assert len(used) == len(set(used))


def bounds() -> Iterator[tuple[str, str, float, bool]]:
    """A verb or `Fleet`, one of its numbers, a value at or beyond a bound, whether it is fine."""
    for one in OPTIONS:
        kind = one.kind
        # The engine does not watch: test_what_is_watched_has_its_bounds.
        if one.of == "face" or one.name == "watch" or not isinstance(kind, (Seconds, Whole)):
            continue
        step: float = 0.001 if isinstance(kind, Seconds) else 1
        for verb in [one.verbs[0]] if one.of == "call" else ["Fleet"]:
            for value, well in (
                (kind.least, True),
                (kind.most, True),
                (kind.least - step, False),
                (kind.most + step, False),
            ):
                yield verb, one.name, value, well


@pytest.mark.parametrize("verb, name, value, well", bounds())
def test_the_engine_has_the_tables_bounds(
    verb: str, name: str, value: float, well: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path))
    given: dict[str, Any] = {name: value}
    if verb == "Fleet":
        refused = _refused(lambda: Fleet([NOBODY], **given))
    else:
        if verb == "resume" and name != "retry_for":
            given["retry_for"] = 0
        fleet = Fleet([NOBODY])
        if (verb, name, value) == ("resume", "retry_for", 3600):
            fleet.stop()  # before it tries again for an hour
        # In Python it is suspended(), whose options suspend() of the engine takes.
        verb = "suspend" if verb == "hold" else verb
        own = {"custody": fleet._core.custody()} if verb == "suspend" else {}
        if name == "ready_first":
            given["cutover"] = Cutover("x", servers={"a/b": "ready"}).told()
        refused = _refused(lambda: getattr(fleet._core, verb)(["f"], on_line=None, **own, **given))
    assert refused == (None if well else name)


def test_what_is_watched_has_its_bounds() -> None:
    kind = BY_NAME["watch"].kind
    assert isinstance(kind, Seconds)
    assert (kind.least, kind.most) == (LEAST_S, MOST_S)
    for beyond in (kind.least - 0.001, kind.most + 0.001):
        assert _refused(lambda: Fleet([NOBODY]).rehearse("f", watch=beyond)) == "watch"


def _refused(call: Any) -> Optional[str]:
    try:
        call()
    except InputError as error:
        return error.field
    return None


def test_the_engine_refuses_another_name_or_type() -> None:
    core = Fleet([NOBODY])._core
    custody = core.custody()
    with pytest.raises(TypeError, match="no option is called 'max_hodl'"):
        core.suspend(["f"], custody=custody, on_line=None, max_hodl=1)
    with pytest.raises(TypeError, match="max_waiting"):
        core.suspend(["f"], custody=custody, on_line=None, max_waiting="1")
    with pytest.raises(InputError, match="on_expiry: must be"):
        core.suspend(["f"], custody=custody, on_line=None, on_expiry="drop")
