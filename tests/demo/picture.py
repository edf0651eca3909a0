"""The demo's picture in a terminal: latency over time. Pure: a Picture in, text out."""

from __future__ import annotations

from stillgate.console.picture import Picture, Scales, in_order, lanes, scales

COLUMNS, ROWS, GUTTER = 88, 16, 9
# The bits of a braille character's dots, by row and column.
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _cells(picture: Picture, scale: Scales) -> list[list[str]]:
    bits = [[0] * COLUMNS for _ in range(ROWS)]
    failed = set()
    for point in picture.points:
        x = round(scale.x(point.at) * (COLUMNS * 2 - 1))
        y = round((1 - scale.y(point.wait)) * (ROWS * 4 - 1))
        bits[y // 4][x // 2] |= DOTS[y % 4][x % 2]
        if not point.ok:
            failed.add((y // 4, x // 2))
    cells = [[chr(0x2800 + one) if one else " " for one in row] for row in bits]
    for row, column in failed:
        cells[row][column] = "×"
    return cells


def _write(row: list[str], column: int, text: str) -> None:
    """As much of the text as the row has room for."""
    for place, letter in zip(range(column, len(row)), text):
        row[place] = letter


def terminal(picture: Picture) -> str:
    """About 100 columns of plain text."""
    markers = in_order(picture.markers)
    widths = [len(marker.label) + 2 for marker in markers]
    scale = scales(picture, COLUMNS, widths)
    columns = [round(scale.x(marker.at) * (COLUMNS - 1)) for marker in markers]
    heights = lanes(columns, widths)
    above = [[" "] * COLUMNS for _ in range(max(heights, default=-1) + 1)]
    cells = _cells(picture, scale)
    for marker, column, height in zip(markers, columns, heights):
        top = len(above) - 1 - height
        for row in [*above[top:], *cells]:
            row[column] = "│" if row[column] == " " else row[column]
        _write(above[top], column, f"┌ {marker.label}")
    labels = {round((1 - scale.y(value)) * (ROWS - 1)): label for value, label in scale.grid()}
    gutters = [f"{labels.get(row, ''):>{GUTTER - 2}} ┤" for row in range(ROWS)]
    lines = [picture.axis_y]
    lines += [" " * GUTTER + "".join(row).rstrip() for row in above]
    lines += [gutter + "".join(row).rstrip() for gutter, row in zip(gutters, cells)]
    return "\n".join([picture.title, picture.subtitle, "", *lines, *_floor(picture, scale)])


def _floor(picture: Picture, scale: Scales) -> list[str]:
    """The axis of time, strong where held, its ticks and the legend."""
    axis, numbers = ["─"] * COLUMNS, [" "] * (COLUMNS + 3)
    if picture.held:
        first, last = (round(scale.x(at) * (COLUMNS - 1)) for at in picture.held)
        _write(axis, first, "━" * (last + 1 - first))
    for tick in scale.ticks():
        column = round(scale.x(tick) * (COLUMNS - 1))
        _write(numbers, column, f"{tick:g}")
    legend = "⠿ answered   × failed" + ("   ━ held" if picture.held else "")
    return [
        " " * (GUTTER - 1) + "└" + "".join(axis),
        " " * GUTTER + "".join(numbers).rstrip(),
        " " * GUTTER + picture.axis_x,
        " " * GUTTER + legend,
    ]
