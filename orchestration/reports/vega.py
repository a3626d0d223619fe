"""Vega-Lite charts drawn to SVG on this machine, in the colours of the page that shows them: light
and dark are one picture.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import altair as alt
import vl_convert

Row = Mapping[str, Any]
#: Stand-ins that charts are drawn with, and the page's variable that each one stands for.
INK, SOFT, GRID, BEFORE, AFTER, BAND, WORSE, BETTER = (f"#0102{k:02x}" for k in range(1, 9))
VARIABLES = {
    INK: "ink",
    SOFT: "soft",
    GRID: "grid",
    BEFORE: "before",
    AFTER: "after",
    BAND: "band",
    WORSE: "worse",
    BETTER: "better",
}
FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def svg(chart: alt.TopLevelMixin, about: str) -> str:
    """A chart as inline SVG that fills its place; about: what it shows, for those who cannot see
    it.
    """
    axis = {"labelColor": SOFT, "titleColor": SOFT, "gridColor": GRID, "domainColor": GRID}
    axis |= {"tickColor": GRID, "labelFont": FONT, "titleFont": FONT, "titleFontWeight": "normal"}
    config = {
        "background": None,
        "view": {"stroke": None},
        "axis": axis,
        "header": {"labelColor": INK, "labelFont": FONT, "title": None, "labelFontWeight": "bold"},
        "legend": {"labelColor": SOFT, "labelFont": FONT, "title": None, "orient": "top"},
        "text": {"font": FONT, "fontSize": 11, "color": INK},
        "font": FONT,
        "aria": False,
    }
    spec = chart.to_dict() | {"config": config}
    drawn = vl_convert.vegalite_to_svg(json.dumps(spec, default=str))
    for colour, name in VARIABLES.items():
        drawn = drawn.replace(f'"{colour}"', f'"var(--{name})"')
    drawn = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", drawn)
    label = f'<svg role="img" aria-label="{escape(about)}" '
    found = re.search(r'<svg ([^>]*?)width="([\d.]+)" height="([\d.]+)"', drawn)
    if found is None:
        raise RuntimeError("vl-convert drew something that is no SVG")
    return drawn.replace(found[0], f'{label}{found[1]}style="max-width:{found[2]}px"', 1)


def network(flows: Sequence[Row]) -> alt.LayerChart:
    """Who sends how much to whom: suppliers left, places right of those that ship to them; red
    where less is sent with the scenario.

    flows: from_id, location_id, kind, before and after.
    """
    at = _places(flows)
    most = max(max(float(row["before"]), float(row["after"])) for row in flows) or 1.0
    lines = [
        {
            "x": at[row["from_id"]][0],
            "y": at[row["from_id"]][1],
            "x2": at[row["location_id"]][0],
            "y2": at[row["location_id"]][1],
            "width": 1 + 13 * float(row["before"]) / most,
            "what": "less" if float(row["after"]) < 0.995 * float(row["before"]) else "as much",
        }
        for row in flows
    ]
    nodes = [{"name": name, "x": x, "y": y, "side": "right"} for name, (x, y) in at.items()]
    colour = alt.Scale(domain=["as much", "less"], range=[BEFORE, WORSE])
    x = alt.X(
        "x:Q", axis=None, scale=alt.Scale(domain=[-0.1, max(x for x, _ in at.values()) + 0.2])
    )
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.06, 1.06]))
    links = (
        alt.Chart(alt.Data(values=lines))
        .mark_rule(opacity=0.55, strokeCap="round")
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            size=alt.Size("width:Q", scale=None, legend=None),
            color=alt.Color("what:N", scale=colour),
        )
    )
    base = alt.Chart(alt.Data(values=nodes)).encode(x=x, y=y)
    points = base.mark_circle(size=90, color=INK, opacity=1)
    texts = base.mark_text(dy=-11, color=INK, fontWeight="bold").encode(text="name:N")
    return (links + points + texts).properties(width=760, height=380)


def _places(flows: Sequence[Row]) -> dict[str, tuple[float, float]]:
    """Where each node is drawn: one column for every step from the suppliers, evenly spread."""
    level = {str(row["from_id"]): 0 for row in flows}
    for _ in flows:
        for row in flows:
            there = level.get(str(row["from_id"]), 0) + 1
            level[str(row["location_id"])] = max(level.get(str(row["location_id"]), 0), there)
    found = {}
    for step in sorted(set(level.values())):
        names = sorted(name for name, at in level.items() if at == step)
        for k, name in enumerate(names):
            found[name] = (float(step), 1 - (k + 0.5) / len(names))
    return found


def fans(depth: Sequence[Row]) -> alt.FacetChart:
    """Stock of every place without and with the scenario, mean and 95 % of futures."""
    values = [
        {
            "day": str(row["period_start"]),
            "place": row["location_id"],
            "what": what,
            "mean": row[key],
            "lower": row[f"{key}_lower"],
            "upper": row[f"{key}_upper"],
        }
        for row in depth
        for key, what in (("before", "without"), ("after", "with it"))
    ]
    colour = alt.Scale(domain=["without", "with it"], range=[BEFORE, AFTER])
    base = alt.Chart().encode(
        x=alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=4)),
        color=alt.Color("what:N", scale=colour),
    )
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("lower:Q", title="units"), y2="upper:Q")
    line = base.mark_line(strokeWidth=1.8).encode(y="mean:Q")
    return (
        alt.layer(band, line, data=alt.Data(values=values))
        .properties(width=225, height=130)
        .facet(facet=alt.Facet("place:N", title=None), columns=3)
        .resolve_scale(y="independent")
    )


def tornado(bars: Sequence[Row], title: str) -> alt.LayerChart:
    """What moves most, the largest on top: mean difference as a bar, 95 % of futures as a line.

    bars: name, difference, lower, upper.
    """
    values = [dict(row) | {"is": "less" if row["difference"] < 0 else "more"} for row in bars]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=260))
    )
    colour = alt.Scale(domain=["less", "more"], range=[WORSE, BETTER])
    bar = base.mark_bar(height={"band": 0.6}).encode(
        x=alt.X("difference:Q", title=title),
        color=alt.Color("is:N", scale=colour, legend=None),
    )
    span = base.mark_rule(color=INK).encode(x=alt.X("lower:Q", title=title), x2="upper:Q")
    return (bar + span).properties(width=520, height=max(20 * len(values), 40))


def survival(nodes: Sequence[Row], grain: str) -> alt.LayerChart:
    """How long customers would not notice that a node is missing: median and 95 % of futures."""
    values = [dict(row) for row in nodes]
    base = alt.Chart(alt.Data(values=values)).encode(y=alt.Y("node_id:N", sort=None, title=None))
    title = f"{grain}s until more than 5 % of demand so far goes unmet"
    bar = base.mark_bar(height={"band": 0.6}, color=BEFORE).encode(
        x=alt.X("periods:Q", title=title)
    )
    span = base.mark_rule(color=INK).encode(x=alt.X("lower:Q", title=title), x2="upper:Q")
    return (bar + span).properties(width=520, height=max(20 * len(values), 40))
