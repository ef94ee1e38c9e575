"""The report's drawings as inline SVG. Colours are CSS classes of the page, so that dark mode is one style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import floor, log10

from pipeline.reporting.blocks import Curve, Ruler, seconds
from pipeline.reporting.story import Point, improvements

WIDTH, HEIGHT = 760, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 150, 12, 34  # margins; the right one holds the levels' names
LINE = 15  # least distance between two names
Axis = Callable[[float], float]  # a value to its pixel


def curve_svg(curve: Curve) -> str:
    """Dots for trials, a stepped line for the best so far, dashed lines for levels."""
    end = max(curve.seconds, 1e-9)
    top = axis_top([point.value for point in curve.points] + [value for _, value in curve.levels])

    def x(moment: float) -> float:
        return round(LEFT + moment / end * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_grid_y(top, y), _grid_x(end, x), _levels(curve.levels, y), _steps(curve.points, x(end), x, y)]
    parts += [_dot(point, x(point.seconds), y(point.value)) for point in curve.points]
    return _svg(HEIGHT, "".join(parts), curve.title)


def ruler_svg(ruler: Ruler) -> str:
    """One row per score: a bar from 0 to the value, its interval as a whisker."""
    top = axis_top([value for _, value, _, _ in ruler.marks])
    room, row = WIDTH - 150 - 70, 34
    parts = []
    for number, (label, value, low, high) in enumerate(ruler.marks):
        y, width = 8 + number * row, max(1.0, max(0.0, value) / top * room)
        kind = "best" if label == "best" else "anchor"
        parts.append(f'<text class="name" x="140" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        parts.append(f'<rect class="track" x="150" y="{y}" width="{room}" height="20" rx="4"/>')
        parts.append(f'<rect class="{kind}" x="150" y="{y}" width="{width:.1f}" height="20" rx="4"/>')
        if low is not None and high is not None:
            a, b = (150 + min(max(bound, 0.0), top) / top * room for bound in (low, high))
            parts.append(f'<path class="whisker" d="M{a:.1f} {y + 10}H{b:.1f}M{a:.1f} {y + 5}v10M{b:.1f} {y + 5}v10"/>')
        parts.append(f'<text class="value" x="{WIDTH - 62}" y="{y + 15}">{value:.3f}</text>')
    return _svg(8 + row * len(ruler.marks), "".join(parts), "Scores of base, best and instruct")


def axis_top(values: Sequence[float]) -> float:
    """1 for scores in [0, 1], else a little above the highest."""
    highest = max(values, default=1.0)
    return 1.0 if highest <= 1.0 else highest * 1.05


def ticks(end: float, most: int = 6) -> list[float]:
    """Round numbers from 0 to at most `end`, at most `most` + 1 of them."""
    raw = end / most
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    return [round(step * number, 10) for number in range(int(end / step + 1e-9) + 1)]


def _svg(height: float, inner: str, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{inner}</svg>"
    )


def _grid_y(top: float, y: Axis) -> str:
    lines = []
    for value in ticks(top, 5):
        lines.append(f'<path class="grid" d="M{LEFT} {y(value)}H{WIDTH - RIGHT}"/>')
        lines.append(f'<text class="tick" x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>')
    return "".join(lines)


def _grid_x(end: float, x: Axis) -> str:
    unit, name = (1.0, "s") if end < 600 else (60.0, "min") if end < 7200 else (3600.0, "h")
    labels = []
    for value in ticks(end / unit):
        told = f"{value:g} {name}" if value else "0"
        at = f'x="{x(value * unit)}" y="{HEIGHT - BOTTOM + 20}"'
        labels.append(f'<text class="tick" {at} text-anchor="middle">{told}</text>')
    return "".join(labels)


def _levels(levels: Sequence[tuple[str, float]], y: Axis) -> str:
    """Dashed lines, their names to the right, moved apart where they would overlap."""
    parts, lowest = [], float(HEIGHT)
    for name, value in sorted(levels, key=lambda level: level[1]):
        at = min(y(value) + 4, lowest - LINE)
        lowest = at
        parts.append(f'<path class="level" d="M{LEFT} {y(value)}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{WIDTH - RIGHT + 8}" y="{at:.1f}">{escape(name)}</text>')
    return "".join(parts)


def _steps(points: Sequence[Point], end: float, x: Axis, y: Axis) -> str:
    """The best so far: level until the next improvement, then up."""
    risen = improvements(points)
    if not risen:
        return ""
    first, *later = risen
    path = f"M{x(first.seconds)} {y(first.value)}" + "".join(f"H{x(p.seconds)}V{y(p.value)}" for p in later)
    return f'<path class="line" d="{path}H{end}"/>'


def _dot(point: Point, x: float, y: float) -> str:
    told = f"{point.trial}: {point.value:.3f} at {seconds(point.seconds)}" + ("" if point.stops else ", does not stop")
    kind = "dot" if point.stops else "dot hollow"
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="4"><title>{escape(told)}</title></circle>'
