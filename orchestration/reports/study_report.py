"""What a study of scenarios leaves behind: report.html, study.json, and one CSV a table."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from models.labels import IMPOSSIBLE, in_words
from models.twin.counter_measures import NOTHING
from orchestration.home import files
from orchestration.reports import vega

#: The page among what a study leaves behind.
REPORT = "report.html"
#: What lets its tables be sorted, the only script of the page.
SCRIPT = (Path(__file__).parent / "pages" / "sorting.js").read_text(encoding="utf-8").strip()
_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
#: What a server sends along with the page (Content-Security-Policy): it asks nobody for anything,
#: runs its own script alone, and is a stranger to whatever else that server shows.
POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; "
    "sandbox allow-scripts; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
#: So many items and lanes stand in the tornado; the table has them all.
SHOWN = 15
#: So many of the order lines that differ stand on the page, the earliest and largest.
LINES = 40
#: The figures of the first table, and how each is written.
TOTALS = {
    "cost": "holding and shortage cost",
    "margin": "margin",
    "cost_to_serve": "cost to serve",
    "freight": "freight",
    "cash": "cash at the end",
    "least_cash": "lowest cash",
    "written_off": "written off",
    "spoiled": "spoiled, units",
    "fill_rate": "fill rate",
    "lost": "sales lost, units",
    "bought": "bought, units",
    "moved": "moved between places, units",
    "co2_kg": "CO2 equivalent of what was sent, kg",
}


def not_met_in_words(waiting_share: float) -> str:
    """What demand that is not met in its period is called, where so much of it waits."""
    if waiting_share == 0:
        return TOTALS["lost"]
    wait = "all wait" if waiting_share == 1 else f"{waiting_share:.0%} wait"
    return f"not met in their period, units ({wait})"


def write_study(said: Mapping[str, Any], tables: Mapping[str, pl.DataFrame], out: Path) -> None:
    """Write a study's answers and tables; each file whole or not at all, study.json last."""
    for name, table in tables.items():
        files.write(out / f"{name}.csv", table.write_csv())
    files.write(out / REPORT, page(said, tables))
    files.write(out / "study.json", json.dumps(said, indent=1))


def page(said: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> str:
    """The report as one page that needs nothing beside it."""
    environment = Environment(
        loader=PackageLoader("orchestration.reports", "pages"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["money"] = "{:,.0f}".format
    environment.filters["signed"] = "{:+,.0f}".format
    environment.filters["share"] = "{:.2%}".format
    environment.filters["change"] = "{:+.2%}".format
    environment.filters["words"] = in_words
    answers = [_drawn(one, tables) for one in said["scenarios"]]
    survival = tables["time_to_survive"].to_dicts()
    about = "How long customers would not notice that a node is missing"
    return environment.get_template("study.html.j2").render(
        said=said,
        answers=answers,
        totals=TOTALS | {"lost": not_met_in_words(said["waiting_share"])},
        script=Markup(SCRIPT),  # noqa: S704 - ours
        nothing=NOTHING,
        impossible=IMPOSSIBLE,
        compared=_compared(said["scenarios"]),
        survival=_picture(vega.survival(survival, said["grain"]), about) if survival else "",
    )


def _drawn(answer: Mapping[str, Any], tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    name, title = answer["scenario"], answer["title"]
    lanes = tables[f"{name}_lanes"]
    moved = lanes.filter(pl.col("margin_difference") != 0).with_columns(
        name=pl.format("{} at {}", "item_id", "location_id"), difference="margin_difference"
    )
    largest = moved.sort(pl.col("difference").abs(), descending=True).head(SHOWN).to_dicts()
    flows, depth = tables[f"{name}_flows"].to_dicts(), tables[f"{name}_stock"].to_dicts()
    return {
        "said": answer,
        "map": _picture(vega.network(flows), f"Units sent on each lane: {title}"),
        "fans": _picture(vega.fans(depth), f"Stock of each place by day: {title}"),
        "tornado": _picture(
            vega.tornado(largest, "margin, difference"), f"What moves margin most: {title}"
        )
        if largest
        else "",
        "lanes": lanes.to_dicts(),
        "spoilage": tables[f"{name}_spoilage"].to_dicts(),
        "orders": tables[f"{name}_orders"].head(LINES).to_dicts(),
        "more_orders": max(tables[f"{name}_orders"].height - LINES, 0),
    }


def _compared(answers: Sequence[Mapping[str, Any]]) -> Markup | str:
    if len(answers) < 2:
        return ""
    bars = [{"name": one["scenario"]} | one["totals"]["margin"] for one in answers]
    bars.sort(key=lambda one: -abs(one["difference"]))
    return _picture(vega.tornado(bars, "margin, difference"), "The scenarios by what they cost")


def _picture(chart: Any, about: str) -> Markup:
    return Markup(vega.svg(chart, about))  # noqa: S704 - drawn here, texts in it are escaped by Vega
