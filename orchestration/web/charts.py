"""Charts as Vega-Lite, drawn to SVG here on the server; their colours are the page's own, so that
light and dark are one picture."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from textwrap import wrap
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup, escape

from orchestration.app.order_card import Chart
from orchestration.web.translation import Words

Row = Mapping[str, Any]
#: Stand-ins that the drawing is made with, and the variable of desk.css each one stands for.
INK, SOFT, GRID, MAIN, SECOND, WIDE, NARROW, GOOD, BAD, PAPER = (
    f"#0101{k:02x}" for k in range(1, 11)
)
VARIABLES = {
    INK: "ink",
    SOFT: "soft",
    GRID: "grid",
    MAIN: "chart-1",
    SECOND: "chart-2",
    WIDE: "band-1",
    NARROW: "band-2",
    GOOD: "chart-good",
    BAD: "chart-bad",
    PAPER: "card",
}
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
MONTHS = "%-d %b"
WIDTH = 500
#: Letters of a line of a name beside a bar; a telephone writes them larger than they were set, so
#: that there is room beside them.
LETTERS, ROOM = 26, {"left": 34, "top": 5, "right": 30, "bottom": 5}
MARGIN = {"left": 14, "top": 5, "right": 14, "bottom": 5}


def draw(chart: alt.LayerChart | alt.FacetChart | alt.Chart, about: str) -> Markup:
    """A chart as inline SVG as wide as its place; about: what it shows, for those who cannot see
    it."""
    axis = {
        "labelColor": SOFT,
        "titleColor": SOFT,
        "gridColor": GRID,
        "domainColor": GRID,
        "tickColor": GRID,
        "labelFont": FONT,
        "titleFont": FONT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
    }
    config = {
        "background": None,
        "padding": MARGIN,
        "view": {"stroke": None},
        "axis": axis,
        "text": {"font": FONT, "fontSize": 12, "color": INK},
        "font": FONT,
        "aria": False,
    }
    spec = chart.to_dict(validate=False) | {"config": config}
    return Markup(_svg(json.dumps(spec, default=str))).format(about=escape(about))  # noqa: S704


@lru_cache(maxsize=256)
def _svg(spec: str) -> str:
    """The SVG of a specification, with a place for what it is about."""
    drawn = vl_convert.vegalite_to_svg(spec)
    drawn = drawn.replace("{", "&#123;").replace("}", "&#125;")
    for colour, name in VARIABLES.items():
        drawn = drawn.replace(f'"{colour}"', f'"var(--{name})"')
    drawn = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", drawn)
    return re.sub(
        r'<svg ([^>]*?)width="[\d.]+" height="[\d.]+"',
        r'<svg \1role="img" aria-label="{about}"',
        drawn,
        count=1,
    )


def waterfall(parts: Sequence[tuple[str, float]], total: float, words: Words) -> Markup:
    """How parts add up to a quantity: each bar begins where the one before ended."""
    found, at = [], 0.0
    for name, size in parts:
        found.append(
            _step(name[:1].upper() + name[1:], at, at + size, "up" if size > 0 else "down", size)
        )
        at += size
    found.append(_step(words("Order"), 0.0, total, "total", total))
    for row in found:
        row["said"] = words.number(row["size"], 1)
    order = [row["part"] for row in found]
    base = alt.Chart(alt.Data(values=found))
    place = _names("part:N", order)
    colour = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=["up", "down", "total"], range=[MAIN, SECOND, INK]),
        legend=None,
    )
    number = alt.X("low:Q", title=words("units"), axis=alt.Axis(tickCount=5))
    bars = base.mark_bar(height=16).encode(y=place, x=number, x2="high:Q", color=colour)
    texts = base.mark_text(align="left", dx=6, color=INK).encode(y=place, x="high:Q", text="said:N")
    shown = (bars + texts).properties(width=WIDTH - 230, height=34 * len(found), padding=ROOM)
    told = "; ".join(f"{row['part']} {row['said']}" for row in found)
    return draw(shown, words("How the quantity comes about: {parts}", parts=told))


def _step(part: str, start: float, end: float, kind: str, size: float) -> dict[str, Any]:
    return {
        "part": part,
        "low": min(start, end),
        "high": max(start, end),
        "kind": kind,
        "size": size,
    }


def fan(seen: Chart, words: Words) -> Markup:
    """Demand up to now, then the forecast with its 50 % and 95 % intervals; empty shelves,
    promotions and unusual signals are marked."""
    past, ahead = seen.past, seen.ahead
    history = [
        {"day": _noon(row["day"]), "units": row["units"], "out": bool(row["is_censored"])}
        for row in past
    ]
    future = [{**row, "day": _noon(row["day"])} for row in ahead]
    time = _time()
    layers: list[alt.Chart] = []
    if future:
        base = alt.Chart(alt.Data(values=future))
        for low, high, colour in (("p025", "p975", WIDE), ("p25", "p75", NARROW)):
            shape = base.mark_area(color=colour, opacity=1)
            layers.append(shape.encode(x=time, y=_units(f"{low}:Q", words), y2=f"{high}:Q"))
        layers.append(
            base.mark_line(color=MAIN, strokeWidth=2).encode(x=time, y=_units("mean:Q", words))
        )
    if history:
        base = alt.Chart(alt.Data(values=history))
        line = base.mark_line(color=INK, strokeWidth=1.4, invalid="break-paths-show-domains")
        layers.append(line.encode(x=time, y=_units("units:Q", words)))
        out = alt.Chart(alt.Data(values=[row | {"zero": 0} for row in history if row["out"]]))
        if any(row["out"] for row in history):
            layers.append(
                out.mark_point(color=BAD, shape="triangle-down", filled=True, size=45).encode(
                    x=time, y=_units("zero:Q", words)
                )
            )
    days = [*history, *future]
    layers = _marked(seen.marks, days) + layers + _told(seen.signals, days)
    shown = alt.layer(*layers).properties(width=WIDTH, height=220)
    return draw(shown, words("Demand so far and the forecast with its 50 % and 95 % intervals"))


def _marked(marks: Sequence[Row], days: Sequence[Row]) -> list[alt.Chart]:
    """Promotions as shaded stretches under the curves."""
    if not (marks and days):
        return []
    first, last = min(row["day"] for row in days), max(row["day"] for row in days)
    stretches = [
        {"from": max(_noon(row["starts_on"]), first), "to": min(_noon(row["ends_on"]), last)}
        for row in marks
        if _noon(row["ends_on"]) >= first and _noon(row["starts_on"]) <= last
    ]
    if not stretches:
        return []
    base = alt.Chart(alt.Data(values=stretches))
    return [base.mark_rect(color=GRID, opacity=0.6).encode(x=_time("from:T"), x2="to:T")]


def _told(signals: Sequence[Row], days: Sequence[Row]) -> list[alt.Chart]:
    """Unusual signals as lozenges along the upper edge."""
    if not (signals and days):
        return []
    first, last = min(row["day"] for row in days), max(row["day"] for row in days)
    found = [{"day": at} for row in signals if first <= (at := _noon(row["day"])) <= last]
    base = alt.Chart(alt.Data(values=found))
    lozenge = base.mark_point(color=SECOND, shape="diamond", filled=True, size=50)
    return [lozenge.encode(x=_time(), y=alt.value(4))] if found else []


def stock(rows: Sequence[Row], words: Words) -> Markup:
    """Expected stock with the order and without it."""
    found = [{**row, "day": _noon(row["day"])} for row in rows]
    base = alt.Chart(alt.Data(values=found))
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=BAD).encode(y="zero:Q")
    without = base.mark_line(color=SECOND, strokeWidth=2, strokeDash=[5, 4])
    kept = base.mark_line(color=MAIN, strokeWidth=2.2)
    shown = alt.layer(
        zero,
        without.encode(x=_time(), y=_units("without:Q", words)),
        kept.encode(x=_time(), y=_units("with:Q", words)),
    ).properties(width=WIDTH, height=200)
    return draw(shown, words("Expected stock with this order and without it"))


def bars(rows: Sequence[tuple[str, float, str]], words: Words, about: str) -> Markup:
    """Horizontal bars with their number at the end: (name, size, kind of colour)."""
    found = [
        {"name": name, "size": size, "kind": kind, "said": words.money(size)}
        for name, size, kind in rows
    ]
    base = alt.Chart(alt.Data(values=found))
    order = [name for name, _, _ in rows]
    place = _names("name:N", order)
    colour = alt.Color(
        "kind:N", scale=alt.Scale(domain=["main", "soft"], range=[MAIN, SECOND]), legend=None
    )
    size = alt.X("size:Q", title=None, axis=alt.Axis(tickCount=4))
    drawn = base.mark_bar(height=16).encode(y=place, x=size, color=colour)
    texts = base.mark_text(align="left", dx=6, color=INK).encode(y=place, x="size:Q", text="said:N")
    shown = (drawn + texts).properties(width=WIDTH - 230, height=34 * len(found), padding=ROOM)
    return draw(shown, about)


def stairs(steps: Sequence[tuple[str, float]], words: Words, about: str) -> Markup:
    """Shares as stairs from the left, each step with what it gains on the one before it."""
    found = [
        {"name": name, "size": size, "before": before, "said": words.share(size)}
        | {"gain": words.share(size - before) if k else ""}
        for k, ((name, size), before) in enumerate(
            zip(steps, [steps[0][1], *(size for _, size in steps)], strict=False)
        )
    ]
    base = alt.Chart(alt.Data(values=found))
    lines = {name: wrap(name, 16, max_lines=3, placeholder=" …") or [name] for name, _ in steps}
    said = f"{json.dumps(lines, ensure_ascii=False)}[datum.label]"
    axis = alt.Axis(labelAngle=0, labelLimit=0, labelExpr=said, labelLineHeight=14, ticks=False)
    place = alt.X("name:N", sort=[name for name, _ in steps], title=None, axis=axis)
    height = alt.Y("size:Q", title=None, axis=alt.Axis(format="%", tickCount=4))
    solid = base.mark_bar(color=MAIN, width=64).encode(x=place, y=height)
    fallen = base.mark_bar(color=GOOD, width=64, opacity=0.35).encode(
        x=place, y=height, y2="before:Q"
    )
    texts = base.mark_text(dy=14, color=PAPER, fontWeight="bold").encode(
        x=place, y=height, text="said:N"
    )
    gains = base.mark_text(dy=-7, color=INK).encode(x=place, y="before:Q", text="gain:N")
    return draw((fallen + solid + texts + gains).properties(width=WIDTH, height=190), about)


def stacked(
    rows: Sequence[tuple[str, Mapping[str, float]]], words: Words, about: str, *, is_across: bool
) -> Markup:
    """Bars of up to three parts: (name, {part: size}); across: from the left, with the total at the
    end."""
    parts = list(rows[0][1]) if rows else []
    found = [
        {"name": name, "part": words.term(part), "size": size, "rank": parts.index(part)}
        for name, sizes in rows
        for part, size in sizes.items()
    ]
    order = [name for name, _ in rows]
    colour = alt.Color(
        "part:N",
        scale=alt.Scale(domain=[words.term(part) for part in parts], range=[MAIN, SECOND, GOOD]),
        legend=alt.Legend(title=None, orient="top", labelColor=SOFT, labelFont=FONT),
    )
    base = alt.Chart(alt.Data(values=found))
    if is_across:
        place = _names("name:N", order)
        size = alt.X("size:Q", title=None, axis=alt.Axis(tickCount=3))
        drawn = base.mark_bar(height=18).encode(y=place, x=size, color=colour, order="rank:Q")
        shown = drawn.properties(width=WIDTH - 200, height=36 * len(rows), padding=ROOM)
        return draw(shown, about)
    where = alt.X(
        "name:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False),
    )
    height = alt.Y("size:Q", title=None, axis=alt.Axis(tickCount=5))
    drawn = base.mark_bar().encode(x=where, y=height, color=colour, order="rank:Q")
    return draw(drawn.properties(width=WIDTH, height=200), about)


def weekly(rows: Sequence[Row], field: str, form: str, about: str) -> Markup:
    """A figure by week, on a scale of its own; a week without one breaks the line. form: how it is
    written, as d3-format has it."""
    found = [{"day": _noon(row["week_start"]), "v": row[field]} for row in rows]
    base = alt.Chart(alt.Data(values=found)).mark_line(
        color=MAIN, strokeWidth=2, invalid="break-paths-show-domains"
    )
    scale = alt.Scale(zero=False, nice=True)
    height = alt.Y("v:Q", title=None, scale=scale, axis=alt.Axis(format=form, tickCount=4))
    drawn = base.encode(x=_time(pattern="%-d %b %y"), y=height)
    return draw(drawn.properties(width=WIDTH, height=150), about)


def trend(rows: Sequence[Row], words: Words, about: str) -> Markup:
    """Costs by day, a line for each policy, from nothing up."""
    found = [
        {"day": _noon(row["day"]), "name": words.term(row["policy"]), "v": row["cost"]}
        for row in rows
    ]
    names = sorted({row["name"] for row in found})
    base = alt.Chart(alt.Data(values=found)).mark_line(strokeWidth=2, point={"size": 30})
    colour = alt.Color(
        "name:N",
        scale=alt.Scale(domain=names, range=[MAIN, SECOND, GOOD, BAD, SOFT]),
        legend=alt.Legend(title=None, orient="top", labelColor=SOFT, labelFont=FONT, columns=2),
    )
    height = alt.Y("v:Q", title=None, axis=alt.Axis(format="~s", tickCount=4))
    drawn = base.encode(x=_time(pattern="%-d %b %y"), y=height, color=colour)
    return draw(drawn.properties(width=WIDTH, height=180), about)


def _noon(day: date) -> str:
    """A day as Vega reads it without moving it to another zone."""
    return f"{day.isoformat()}T12:00:00"


def _time(field: str = "day:T", pattern: str = MONTHS) -> alt.X:
    return alt.X(field, title=None, axis=alt.Axis(format=pattern, tickCount=7, grid=False))


def _names(field: str, order: list[str]) -> alt.Y:
    """Names down the side, long ones in two lines."""
    lines = {name: wrap(name, LETTERS, max_lines=2, placeholder=" …") or [name] for name in order}
    said = f"{json.dumps(lines, ensure_ascii=False)}[datum.label]"
    axis = alt.Axis(labelLimit=0, labelExpr=said, labelLineHeight=15, ticks=False)
    return alt.Y(field, sort=order, title=None, axis=axis)


def _units(field: str, words: Words) -> alt.Y:
    return alt.Y(field, title=words("units"), axis=alt.Axis(tickCount=5))
