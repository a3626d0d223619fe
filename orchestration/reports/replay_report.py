"""Reports as files: what a replay leaves behind for a person, a notebook and a machine."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment

from orchestration.home import files
from orchestration.reports import charts

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Replay</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;color:#1f2933}
table{border-collapse:collapse;width:100%}img{max-width:100%}
td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #e4e7eb}
td:first-child,th:first-child{text-align:left}
</style><h1>Replay {{ first }} to {{ last }}</h1>
<p>Every policy started from the same state, decided on what was known at each review,
    and met the demand that history revealed, within today's limits.
    End stock and goods on the way are worth their unit cost; spent is what goods and freight cost
    less what is left of them. The total with freight ranks as the total does: freight counts with
    the goods it brought, so what is still there is not charged for, and a lost sale saves none.
{% if champion %}Champion: <b>{{ champion }}</b>.{% endif %}
{% if done %}What the company really did started there too and met the same demand, with the orders
    it placed and the time each took. It ranks nothing: the demand on record is what these orders
    could serve, so they lose few sales here, and nothing held them to today's limits.
{% else %}No order of these periods, or no stock at their start, is on record: what the company
    really did cannot be shown.{% endif %}</p>
<table><tr><th>policy<th>holding<th>shortage<th>ordering<th>spoiled<th>total<th>with
    freight<th>end stock<th>on the way<th>spent on goods<th>fill rate<th>mean stock<th>order lines
<th>bullwhip, locations<th>bullwhip, centre<th>cash committed</tr>
{% for name, p in policies %}<tr><td>{{ name }}
<td>{{ "%.1f"|format(p.holding_cost) }}<td>{{ "%.1f"|format(p.shortage_cost) }}
<td>{{ "%.1f"|format(p.ordering_cost) }}<td>{{ "%.1f"|format(p.waste_cost) }}
<td><b>{{ "%.1f"|format(p.total_cost) }}</b>
<td>{{ "%.1f"|format(p.total_with_freight) }}<td>{{ "%.0f"|format(p.end_stock_value) }}
<td>{{ "%.0f"|format(p.pipeline_value) }}<td>{{ "%.0f"|format(p.spent) }}
<td>{{ "%.1f"|format(100 * p.fill_rate) }}
    %<td>{{ "%.0f"|format(p.mean_stock) }}<td>{{ p.order_lines }}
{% for ratio in (p.bullwhip.location, p.bullwhip.distribution_centre) %}
<td>{{ "" if ratio is none else "%.2f"|format(ratio) }}{% endfor %}
<td>{{ "%.0f"|format(p.purchase_value) }}</tr>{% endfor %}</table>
<img alt="cost of each policy over time" src="data:image/png;base64,{{ plot }}"></html>
"""


def write_replay(card: dict[str, Any], orders: pl.DataFrame, out: Path) -> None:
    """Write scorecard.json, orders.parquet and replay.html; each file whole or not at all.

    card: what each policy cost, as `Replay.scorecard` has it. orders: what each would have ordered,
    one row an order line.
    """
    periods = next(iter(card["policies"].values()))["by_period"]
    plot, done = charts.png(charts.cost_by_period(card)), card["as_placed"]
    page = (
        Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            first=periods[0]["period_start"],
            last=periods[-1]["period_start"],
            champion=card["champion"],
            policies=sorted(card["policies"].items(), key=lambda pair: pair[1]["total_cost"])
            + ([("what the company really did", done)] if done else []),
            done=done,
            plot=base64.b64encode(plot).decode(),
        )
    )
    files.write(out / "scorecard.json", json.dumps(card, indent=1))
    files.write(out / "replay.html", page)
    files.write(out / "cost.png", plot)
    with files.replacing(out / "orders.parquet") as aside:
        orders.write_parquet(aside)
