"""Pictures as inline SVG: numbers in, markup out. Colours are CSS classes, so that the page decides
between light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup, escape

Point = tuple[date, float | None]
#: Room for the number behind the longest bar, and of one letter of a name, as large as a telephone
#: writes them.
NOTE, LETTER = 190, 9


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its stacked parts (CSS class, size), what is written at its end, and what
    hovering tells."""

    name: str
    parts: Sequence[tuple[str, float]]
    note: str
    hint: str = ""


def bars(rows: Sequence[Bar], width: int = 560) -> Markup:
    """Horizontal stacked bars on one scale, each under its name, so that a telephone shows the
    whole name; the number stands at the end of each bar."""
    longest = max((sum(size for _, size in row.parts) for row in rows), default=0) or 1
    room, step = width - NOTE, 42
    drawn = []
    for i, row in enumerate(rows):
        y, x = i * step + 16, 0.0
        name = escape(_cut(row.name, width // LETTER))
        drawn.append(f'<text x="0" y="{y - 3}">{name}</text>')
        for kind, size in row.parts:
            length = max(size, 0) / longest * room
            hint = f"<title>{escape(row.hint or row.name)}</title>"
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="18" '
                f'class="{kind}">{hint}</rect>'
            )
            x += length
        drawn.append(f'<text x="{x + 6:.1f}" y="{y + 14}" class="note">{escape(row.note)}</text>')
    return _svg(drawn, width, len(rows) * step + 6)


def columns(rows: Sequence[tuple[str, float, str]], width: int = 560, height: int = 210) -> Markup:
    """Vertical columns for a histogram: (label, size, CSS class); the count stands on each
    column."""
    highest = max((size for _, size, _ in rows), default=0) or 1
    step, floor = width / max(len(rows), 1), height - 24
    drawn = []
    for i, (label, size, kind) in enumerate(rows):
        tall, x = size / highest * (floor - 22), i * step
        drawn.append(
            f'<rect x="{x + 5:.1f}" y="{floor - tall:.1f}" width="{step - 10:.1f}" '
            f'height="{tall:.1f}" class="{kind}"></rect>'
        )
        drawn.append(
            f'<text x="{x + step / 2:.1f}" y="{floor - tall - 5:.1f}" class="mid '
            f'note">{size:,.0f}</text>'
        )
        drawn.append(
            f'<text x="{x + step / 2:.1f}" y="{height - 8}" class="mid axis">{escape(label)}</text>'
        )
    drawn.append(f'<line x1="0" x2="{width}" y1="{floor}" y2="{floor}" class="floor"/>')
    return _svg(drawn, width, height)


def fan(
    past: Sequence[Point],
    bands: Sequence[tuple[str, Sequence[Point], Sequence[Point]]],
    middle: Sequence[Point],
) -> Markup:
    """Demand up to now as a line, then the forecast: bands from the widest to the narrowest (class,
    low, high) and its middle.

    A gap in the line is demand that nobody knows (an empty shelf, a missing report).
    """
    width, height, left, top, floor = 380, 150, 34, 8, 128
    days = sorted({day for day, _ in [*past, *middle]})
    if not days:
        return Markup("")
    first, span = days[0].toordinal(), max((days[-1] - days[0]).days, 1)
    values = [value for _, value in past if value is not None] + [
        value for _, _, high in bands for _, value in high if value is not None
    ]
    highest = max([*values, 1.0])

    def at(day: date, value: float) -> str:
        x = left + (day.toordinal() - first) / span * (width - left - 6)
        return f"{x:.1f},{floor - value / highest * (floor - top):.1f}"

    drawn = [f'<line x1="{left}" x2="{width}" y1="{floor}" y2="{floor}" class="floor"/>']
    for value in (0.0, highest / 2, highest):
        y = floor - value / highest * (floor - top)
        drawn.append(f'<text x="{left - 5}" y="{y + 4:.1f}" class="end axis">{short(value)}</text>')
        drawn.append(f'<line x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
    for kind, low, high in bands:
        edge = [at(day, value) for day, value in high if value is not None] + [
            at(day, value) for day, value in reversed(low) if value is not None
        ]
        drawn.append(f'<polygon points="{" ".join(edge)}" class="{kind}"/>')
    for run in _runs(past):
        drawn.append(f'<polyline points="{" ".join(at(*point) for point in run)}" class="past"/>')
    for run in _runs(middle):
        drawn.append(f'<polyline points="{" ".join(at(*point) for point in run)}" class="middle"/>')
    drawn.append(f'<text x="{left}" y="{height - 6}" class="axis">{days[0]:%-d %b %Y}</text>')
    drawn.append(
        f'<text x="{width - 4}" y="{height - 6}" class="end axis">{days[-1]:%-d %b %Y}</text>'
    )
    return _svg(drawn, width, height)


def short(value: float) -> str:
    """A number as people say it: 950, 12.4k, 3.1M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if letter == 'k' else size):,.1f}{letter}"
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def _runs(points: Sequence[Point]) -> list[list[tuple[date, float]]]:
    """Stretches of known values; an unknown one breaks the line."""
    runs: list[list[tuple[date, float]]] = [[]]
    for day, value in points:
        if value is None:
            runs.append([])
        else:
            runs[-1].append((day, value))
    return [run for run in runs if len(run) > 1]


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _svg(drawn: Sequence[str], width: float, height: float) -> Markup:
    # every text in it is escaped above
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(drawn)}</svg>')  # noqa: S704
