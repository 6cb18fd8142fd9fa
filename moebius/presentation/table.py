"""Tables of text as Markdown, HTML or for a terminal, and the format of figures in them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

NONE = "–"
"""Shown where there is no figure."""
LONG = 36
"""Cells with more characters may break into lines (class `long`); figures with their intervals do not."""

_HTML = """\
<table{% if label %} aria-label="{{ label }}"{% endif %}><thead><tr>
{%- for cell in table.header %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead><tbody>
{%- for row in table.rows %}<tr><th scope="row">{{ row[0] }}</th>
{%- for cell in row[1:] %}<td{% if cell|length > long %} class="long"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}</tbody></table>"""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row names it. ValueError where a row is not as long as the header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"table {self.title!r} has {len(self.header)} columns, a row has {len(row)}: {row}")

    def first(self, count: int) -> Table:
        """The first `count` columns; a negative count leaves out the last ones."""
        rows = tuple(row[:count] for row in self.rows)
        return dataclasses.replace(self, header=self.header[:count], rows=rows)

    def markdown(self) -> str:
        """Title as a heading of the second level, rows, note; without a last line break."""
        lines = [f"## {self.title}", "", _markdown_row(self.header), _markdown_row(["---"] * len(self.header))]
        lines += map(_markdown_row, self.rows)
        return "\n".join(lines + (["", self.note] if self.note else []))

    def html(self, label: str = "") -> Markup:
        """A `<table>` element, every cell escaped; neither title nor note.

        Args:
            label: its name for screen readers, where no heading stands above it.
        """
        from markupsafe import Markup

        return Markup(_html_template().render(table=self, label=label, long=LONG))

    def text(self) -> str:
        """Aligned columns for a terminal: the first to the left, columns of figures to the right; neither title nor
        note."""
        columns = list(zip(self.header, *self.rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        to_right = [index > 0 and all(map(_is_figure, column[1:])) for index, column in enumerate(columns)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if right else cell.ljust(width)
                for cell, width, right in zip(row, widths, to_right, strict=True)
            ).rstrip()
            for row in (self.header, *self.rows)
        )


def figure(value: float | str | None, digits: int = 4) -> str:
    """A figure as text: `digits` decimals below 10, two above; ∞; – for None.

    Args:
        value: a number, or a number as text (an infinity in JSON).
    """
    if value is None or math.isnan(number := float(value)):
        return NONE
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:.{digits}f}" if abs(number) < 10 else f"{number:.2f}"


def interval(values: dict | None, digits: int = 4) -> str:
    """`mean [low, high]` of a dict with these keys; only the mean if low is None."""
    if values is None:
        return NONE
    mean = figure(values["mean"], digits)
    if values["low"] is None:
        return mean
    return f"{mean} [{figure(values['low'], digits)}, {figure(values['high'], digits)}]"


def parameters(count: int | None) -> str:
    """226.0 M, 11.90 B; – for none."""
    if not count:
        return NONE
    return f"{count / 1e9:.2f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


def optional(form: Callable[[float], str], value: float | None) -> str:
    """`form(value)`; – for None."""
    return NONE if value is None else form(value)


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _is_figure(cell: str) -> bool:
    return cell in ("", NONE) or cell.lstrip("~-+").replace(",", "")[:1].isdigit()


@cache
def _html_template() -> Template:
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_HTML)
