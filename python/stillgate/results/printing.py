"""How results print: as a table in a terminal, as HTML in a notebook. rich comes when needed."""

from __future__ import annotations

import sys
from functools import lru_cache, singledispatch
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, List, Sequence, TextIO, Type

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text as Text

WIDTH = 160  # columns where there is no terminal to ask
HTML = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:normal;'
    "font-family:Menlo,Consolas,'DejaVu Sans Mono',monospace\">{code}</pre>"
)
# Words of HAProxies and of other people: what would steer a terminal is shown in place of sent.
_CONTROLS = {
    number: f"\\x{number:02x}"
    for number in (*range(0x20), *range(0x7F, 0xA0))
    if chr(number) not in "\n\t"
}
# These turn the order of what stands around them.
_CONTROLS.update(
    {
        number: f"\\u{number:04x}"
        for number in (0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    }
)


def tamed(text: str) -> str:
    """For people to read: what would steer a terminal is shown in place of sent."""
    return text.translate(_CONTROLS)


@singledispatch
def draw(result: object, out: Console) -> None:
    """As people read it. `stillgate.tables` registers a table for each class of results."""
    out.print(repr(result), soft_wrap=True)


class Printed:
    """What print() shows as a table, and a notebook as HTML."""

    def __str__(self) -> str:
        file = StringIO()
        wide = sys.stdout is not None and sys.stdout.isatty()
        draw(self, _console(file, width=None if wide else WIDTH, color_system=None))
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def _repr_html_(self) -> str:
        out = _console(StringIO(), width=WIDTH, record=True)
        draw(self, out)
        return out.export_html(inline_styles=True, code_format=HTML)


def to_width(text: str, width: int) -> str:
    """Exactly so many columns, cut off or filled up."""
    from rich.cells import set_cell_size

    return set_cell_size(text, width)


def styled(text: str, style: str) -> Text:
    """One line, tamed."""
    from rich.text import Text

    return Text(tamed(text).replace("\n", " "), style=style)


def in_width(lines: Sequence[Text], columns: int, colours: bool) -> List[str]:
    """The lines as a terminal of that width gets them, cut off where they are longer."""
    options: Any = {"width": columns, "no_color": not colours, "legacy_windows": False}
    if colours:
        options.update(color_system="standard", force_terminal=True)
    file = StringIO()
    out = _console(file, **options)
    for line in lines:
        line.truncate(columns, overflow="crop")
        out.print(line, no_wrap=True, overflow="crop")
    return file.getvalue().split("\n")[: len(lines)]


def to_stream(file: TextIO) -> Console:
    """In the terminal's width and colours, where the file is one."""
    return _console(file, width=None if file.isatty() else WIDTH)


def _console(file: TextIO, **options: Any) -> Console:
    # In a notebook rich would display by itself what it is asked to write into a file.
    options.update(force_jupyter=False, highlight=False, markup=False, emoji=False)
    return _console_class()(file=file, **options)


def _load_rich() -> None:
    """All of it that a table needs. Errors: KeyboardInterrupt, where a signal comes in it. Before
    Python 3.12 one that comes while a class is made is wrapped.
    """
    try:
        for name in ("rich.console", "rich.table", "rich.text"):
            import_module(name)
    except RuntimeError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise error.__cause__ from None
        raise


@lru_cache(maxsize=None)
def _console_class() -> Type[Console]:
    _load_rich()
    from rich.console import Console

    class TamingConsole(Console):
        """Every text passes here, in a table's cell too."""

        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(tamed(text), **options)

    return TamingConsole
