"""Plots as SVG elements: points with intervals against seconds or parameters, and lines over sizes of holes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 560, 330
LEFT, RIGHT, TOP, BOTTOM = 66, 18, 30, 64
LEGEND_COLUMNS = 3
COLOURS = ("#0b6e99", "#c2410c", "#4d7c0f", "#7e22ce", "#b91c1c", "#0f766e", "#a16207", "#475569")


@dataclass(frozen=True)
class Point:
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def colour(index: int) -> str:
    """The colour of the contestant at this place, as CSS."""
    return COLOURS[index % len(COLOURS)]


def scatter(title: str, x_title: str, y_title: str, points: dict[str, Point], log_x: bool = True) -> Markup:
    """One named point per model, with its interval as a bar."""
    xs = [point.x for point in points.values()]
    ys = [y for point in points.values() for y in (point.y, point.low, point.high) if y is not None]
    frame = _Frame(xs, ys, log_x)
    body = []
    placed: list[tuple[float, float]] = []
    for index, (name, point) in enumerate(points.items()):
        x, y, tint = frame.x(point.x), frame.y(point.y), colour(index)
        if point.low is not None:
            body.append(_bar(x, frame.y(point.low), frame.y(point.high), tint))
        body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{tint}"/>')
        anchor, offset = ("end", -9) if x > WIDTH * 0.62 else ("start", 9)
        label_y = y + 4
        while any(abs(label_y - other_y) < 13 and abs(x - other_x) < 150 for other_x, other_y in placed):
            label_y -= 13
        placed.append((x, label_y))
        body.append(
            f'<text x="{x + offset:.1f}" y="{label_y:.1f}" text-anchor="{anchor}" fill="{tint}">{escape(name)}</text>'
        )
    return frame.svg(title, x_title, y_title, body)


def lines(title: str, x_title: str, y_title: str, names: list[str], series: dict[str, list[Point | None]]) -> Markup:
    """One line per model over named places; intervals as bars, slightly apart so that they can be told apart."""
    ys = [
        y
        for points in series.values()
        for point in points
        if point
        for y in (point.y, point.low, point.high)
        if y is not None
    ]
    legend_rows = -(-len(series) // LEGEND_COLUMNS)
    frame = _Frame([-0.35, len(names) - 0.65], ys, log_x=False, x_names=names, headroom_px=15 * legend_rows + 4)
    body = []
    for index, (name, points) in enumerate(series.items()):
        tint, shift = colour(index), (index - (len(series) - 1) / 2) * 0.07
        corners = []
        for place, point in enumerate(points):
            if point is None:
                continue
            x, y = frame.x(place + shift), frame.y(point.y)
            corners.append(f"{x:.1f},{y:.1f}")
            if point.low is not None:
                body.append(_bar(x, frame.y(point.low), frame.y(point.high), tint))
            body.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{tint}"/>')
        body.append(f'<polyline points="{" ".join(corners)}" fill="none" stroke="{tint}" stroke-width="1.8"/>')
        column, row = index % LEGEND_COLUMNS, index // LEGEND_COLUMNS
        corner = f'x="{LEFT + 10 + column * 160}" y="{TOP + 12 + 15 * row}"'
        body.append(f'<text {corner} fill="{tint}">{escape(name)}</text>')
    return frame.svg(title, x_title, y_title, body)


def _bar(x: float, low: float, high: float, tint: str) -> str:
    """An interval."""
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"'
    return f'<line {place} stroke="{tint}" stroke-width="2" opacity="0.5"/>'


class _Frame:
    """Axes: values to places on the sheet."""

    def __init__(
        self, xs: list[float], ys: list[float], log_x: bool, x_names: list[str] | None = None, headroom_px: float = 20
    ) -> None:
        self.log_x, self.x_names = log_x, x_names
        self.x_low, self.x_high = min(xs), max(xs)
        if log_x:
            self.x_low, self.x_high = self.x_low / 1.6, self.x_high * 1.6
        elif x_names is None:
            margin = 0.08 * (self.x_high - self.x_low) or 1.0
            self.x_low, self.x_high = self.x_low - margin, self.x_high + margin
        span = (max(ys) - min(ys)) or abs(max(ys)) or 1.0
        low = min(ys) - 0.08 * span
        self.y_low = max(low, 0.0) if min(ys) >= 0 else low
        drawn = HEIGHT - TOP - BOTTOM
        self.y_high = max(ys) + (max(ys) - self.y_low or span) * headroom_px / (drawn - headroom_px)

    def x(self, value: float) -> float:
        if self.log_x:
            share = math.log(value / self.x_low) / math.log(self.x_high / self.x_low)
        else:
            share = (value - self.x_low) / (self.x_high - self.x_low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_low) / (self.y_high - self.y_low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def svg(self, title: str, x_title: str, y_title: str, body: list[str]) -> Markup:
        parts = [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
            'font-family="system-ui, sans-serif" font-size="12">',
            f'<text x="{LEFT}" y="18" font-weight="600" fill="currentColor">{escape(title)}</text>',
        ]
        for value in _ticks(self.y_low, self.y_high):
            y = self.y(value)
            parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" '
                f'opacity="0.13"/><text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end" fill="currentColor" '
                f'opacity="0.75">{value:.3g}</text>'
            )
        for x, name in self._x_ticks():
            for row, line in enumerate(name.split("\n")):
                parts.append(
                    f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 17 + 14 * row}" text-anchor="middle" '
                    f'fill="currentColor" opacity="0.75">{escape(line)}</text>'
                )
        parts += body
        centre = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text x="{centre}" y="{HEIGHT - 12}" text-anchor="middle" fill="currentColor">{escape(x_title)}</text>'
        )
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})" '
            f'fill="currentColor">{escape(y_title)}</text></svg>'
        )
        return Markup("".join(parts))

    def _x_ticks(self) -> list[tuple[float, str]]:
        if self.x_names is not None:
            return [(self.x(index), name) for index, name in enumerate(self.x_names)]
        if not self.log_x:
            return [(self.x(value), f"{value:.3g}") for value in _ticks(self.x_low, self.x_high)]
        first, last = math.ceil(math.log10(self.x_low)), math.floor(math.log10(self.x_high))
        values = [10.0**power for power in range(first, last + 1)]
        if len(values) < 2:
            values = [step * 10.0**power for power in range(first - 1, last + 2) for step in (1, 2, 5)]
            values = [value for value in values if self.x_low <= value <= self.x_high]
        return [(self.x(value), f"{value:g}") for value in values]


def _ticks(low: float, high: float) -> list[float]:
    """About five round values."""
    rough = (high - low) / 5
    step = 10.0 ** math.floor(math.log10(rough))
    step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]
