"""The demand model's card as one page: what it is, what it was trained on, and what it is good and
bad at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment

from orchestration.home import files
from orchestration.reports import charts

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{{ card.name }}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}img{max-width:100%}
td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #cbd2d9}
td:first-child,th:first-child{text-align:left}
@media (prefers-color-scheme:dark){body{background:#12181f;color:#e4e7eb}img{background:#fff}}
</style><h1>{{ card.name }}</h1>
<p>{{ card.method }}, trained as of {{ card.as_of[:10] }} on demand until {{ card.data_until }} of
{{ card.series }} series, to forecast {{ card.horizon }} periods. Why: {{ card.reason }}.
{% if pin %}It is {{ pin }}.{% endif %}</p>
<h2>What it is good and bad at</h2>
<p>The same method was trained anew on what was known on {{ first }} and asked for the
{{ card.horizon }} periods until {{ last }}, which it had not seen. WAPE: the absolute error as a
share of what was sold. Bias: how much too high. Under the upper quantile: should be
{{ "%.1f"|format(100 * tail) }} %.
{% if best %}It does best on <b>{{ best["class"] }}</b> (WAPE {{ "%.2f"|format(best.wape) }})
and worst on <b>{{ worst["class"] }}</b> ({{ "%.2f"|format(worst.wape) }}).{% endif %}</p>
<img alt="WAPE and bias by class" src="data:image/png;base64,{{ plot }}">
<table><tr><th>class<th>by<th>series<th>units sold<th>WAPE<th>bias<th>under the upper quantile</tr>
{% for row in rows %}<tr><td>{{ row["class"] }}<td>{{ row.of }}<td>{{ row.series }}
<td>{{ "{:,.0f}".format(row.demand) }}
{% if row.wape is none %}<td>–<td>–<td>–{% else %}<td>{{ "%.2f"|format(row.wape) }}
<td>{{ "%+.2f"|format(row.bias) }}<td>{{ "%.1f %%"|format(100 * row.under_tail) }}{% endif %}</tr>
{% endfor %}</table>
<h2>What it knows</h2><p>{{ card.features|join(", ") }}.</p>
<p>What signals save in held-out error, as a share:
{% for name, worth in card.signals.items() %}{{ name }} {{ "%.1f %%"|format(100 * worth) }}
{{- ", " if not loop.last }}{% endfor %}.</p>
<h2>What not to use it for</h2><p>Series without any history, periods beyond the
{{ card.horizon }} it was made for, and demand behind an empty shelf, which it never saw.</p></html>
"""


def write_card(
    card: Mapping[str, Any],
    scores: pl.DataFrame,
    window: tuple[Any, Any],
    tail: float,
    pin: str | None,
    out: Path,
) -> None:
    """Write the page, whole or not at all.

    scores: as orchestration.planning.model_card.judge returns them. window: the first and the last
    day that were forecast. tail: the level of the upper quantile.
    """
    judged = scores.filter((pl.col("of") == "pattern") & pl.col("wape").is_not_null())
    ranked = judged.sort("wape").to_dicts()
    page = (
        Environment(autoescape=True)
        .from_string(PAGE)
        .render(
            card=card,
            pin=pin,
            rows=scores.to_dicts(),
            first=window[0],
            last=window[1],
            tail=tail,
            best=ranked[0] if ranked else None,
            worst=ranked[-1] if ranked else None,
            plot=charts.inline(charts.scores_by_class(scores)),
        )
    )
    files.write(out, page)
