"""Reports as files: what a replay leaves behind for a person, a notebook and a machine."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from jinja2 import Environment

from orchestration.planning.replay import Replay
from orchestration.reports import charts

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Replay</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;color:#1f2933}table{border-collapse:collapse;width:100%}
td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #e4e7eb}td:first-child,th:first-child{text-align:left}img{max-width:100%}
</style><h1>Replay {{ first }} to {{ last }}</h1>
<p>Every policy started from the same state, decided on what was known at each review, and met the demand that history revealed.
{% if champion %}Champion: <b>{{ champion }}</b>.{% endif %}</p>
<table><tr><th>policy<th>holding<th>shortage<th>ordering<th>total<th>freight (not in total)<th>fill rate<th>mean stock<th>order lines
<th>bullwhip, locations<th>bullwhip, centre<th>cash committed</tr>
{% for name, p in policies %}<tr><td>{{ name }}<td>{{ "%.1f"|format(p.holding_cost) }}<td>{{ "%.1f"|format(p.shortage_cost) }}
<td>{{ "%.1f"|format(p.ordering_cost) }}<td><b>{{ "%.1f"|format(p.total_cost) }}</b><td>{{ "%.1f"|format(p.freight_cost) }}
<td>{{ "%.1f"|format(100 * p.fill_rate) }} %<td>{{ "%.0f"|format(p.mean_stock) }}<td>{{ p.order_lines }}
{% for ratio in (p.bullwhip.location, p.bullwhip.distribution_centre) %}<td>{{ "" if ratio is none else "%.2f"|format(ratio) }}{% endfor %}
<td>{{ "%.0f"|format(p.purchase_value) }}</tr>{% endfor %}</table>
<img alt="cost of each policy over time" src="data:image/png;base64,{{ plot }}"></html>
"""


def write_replay(result: Replay, out: Path) -> None:
    """Write scorecard.json, orders.parquet and replay.html; each file whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    card = result.scorecard()
    plot = charts.png(charts.cost_by_period(card))
    page = Environment(autoescape=True).from_string(PAGE).render(
        first=result.periods[0],
        last=result.periods[-1],
        champion=card["champion"],
        policies=sorted(card["policies"].items(), key=lambda pair: pair[1]["total_cost"]),
        plot=base64.b64encode(plot).decode(),
    )  # fmt: skip
    _put(out / "scorecard.json", json.dumps(card, indent=1).encode())
    _put(out / "replay.html", page.encode())
    _put(out / "cost.png", plot)
    aside = out / "orders.parquet.writing"
    result.orders().write_parquet(aside)
    os.replace(aside, out / "orders.parquet")


def _put(target: Path, content: bytes) -> None:
    aside = target.with_name(target.name + ".writing")
    aside.write_bytes(content)
    os.replace(aside, target)
