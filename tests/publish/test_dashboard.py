"""The dashboard: it shows the snapshot's own numbers, stands alone, and survives names that look
like markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import polars as pl
import pytest

from orchestration.app.publishing import write_snapshot
from orchestration.reports.charts import policy_costs
from orchestration.reports.dashboard import write_dashboard
from tests.gates.tiny_company import found


def page_of(folder: Path, *statements: str) -> str:
    warehouse = found(folder / "warehouse.duckdb")
    with duckdb.connect(str(warehouse)) as con:
        for statement in statements:
            con.execute(statement)
    snapshot = write_snapshot(warehouse, folder / "published", "run-1", "2024-12-30")
    return write_dashboard(snapshot.path, folder / "published" / "dashboard.html").read_text(
        encoding="utf-8"
    )


@pytest.fixture
def page(tmp_path: Path) -> str:
    return page_of(tmp_path)


def test_it_shows_the_numbers_of_the_snapshot(page: str) -> None:
    assert "408 EUR" in page  # 36 mugs at 4 and 24 lamps at 11
    assert "2 purchase lines" in page
    assert "750 EUR" in page  # 25 of each, at two places
    assert "The shop will be out of lamps before the next delivery." in page
    assert "★ quantile" in page


def test_shelves_are_empty_as_often_in_the_figure_as_in_the_picture(tmp_path: Path) -> None:
    """One that nothing was sold from for four weeks has no cover, and is empty all the same."""
    page = page_of(
        tmp_path,
        "update metrics.kpi_cover_days set on_hand = 0, cover_days = null where item_id = 'mug'",
    )
    (empty, counted) = re.findall(r"([\d,]+) of ([\d,]+) item-locations", page)[0]
    (picture,) = re.findall(r"How long the stock lasts.*?(<svg.*?</svg>)", page, re.DOTALL)
    columns = [text for text in re.findall(r'note">([\d,]+)<', picture)]
    assert columns[0] == empty != "0" and sum(map(int, columns)) == int(counted)


def test_how_good_the_forecast_is_stands_there_from_the_simplest_method_on(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        "insert into decisions.forecast_scores by name select 'r' as run_id, stair, method, wape "
        "from (values (2, 'xgboost', 0.3), (1, 'seasonal_naive', 0.4), (3, 'x', null)) as t (stair, method, wape)",
        "insert into decisions.models by name select 'r' as run_id, '2024-12-30'::timestamp as "
        "as_of, 'm' as model, 0.97 as unseen_under_tail, 0.9 as served_under_tail, 8 as "
        "served_periods",
    )
    (panel,) = re.findall(r"How good the forecast is</h2>(.*?)</div>", page, re.DOTALL)
    (picture,) = re.findall(r"<svg.*?</svg>", panel, re.DOTALL)
    assert re.findall(r">([^<]+)</text>", picture) == [
        *("as in the season before", "40.0%"),
        *("gradient-boosted quantiles (XGBoost)", "30.0% · 25% less"),
    ]
    assert "97.0% in periods it had not seen, 90.0% in the 8 it served since" in panel


def test_it_needs_nothing_from_anywhere(page: str) -> None:
    class Requests(HTMLParser):
        asked: list[str] = []  # noqa: RUF012 - one page, one parser

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.asked += [
                f"{tag} {value}"
                for name, value in attrs
                if name in ("src", "href", "srcset", "action")
            ]

    Requests().feed(page)
    assert Requests.asked == []
    assert re.findall(r"@import|url\(|https?://", page) == []
    assert "<script" not in page


def test_every_picture_is_sound_markup(page: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(pictures) == 5  # spend, policies, cover, two series
    for picture in pictures:
        assert list(ElementTree.fromstring(picture))  # noqa: S314 - our own page


def test_names_are_text_and_never_markup(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        "update marts.dim_items set name = '<script>alert(1)</script>'",
        "update marts.dim_suppliers set name = '<img src=x onerror=alert(1)>'",
        "update decisions.exceptions set reason = '</table><script>'",
    )
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_unknown_demand_is_a_gap_and_not_a_zero(tmp_path: Path) -> None:
    censored = (
        "update marts.fct_demand set quantity = null, is_censored = true where period_start "
        "between '2024-12-01' and '2024-12-05'"
    )
    lines = re.findall(r'<polyline points="[^"]+" class="past"/>', page_of(tmp_path, censored))
    assert len(lines) == 4  # two series, each broken once


def test_a_company_that_has_nothing_to_order_has_a_page_too(tmp_path: Path) -> None:
    empty = [
        f"delete from decisions.{table}"
        for table in ("order_lines", "champions", "forecasts", "exceptions", "explanations")
    ]
    page = page_of(tmp_path, *empty)
    assert "Nothing to order." in page
    assert "every item was planned" in page
    assert "no forecast has been rehearsed yet" in page


def test_what_nobody_counted_is_unknown_and_never_zero(tmp_path: Path) -> None:
    page = page_of(
        tmp_path, "delete from metrics.kpi_cover_days", "delete from metrics.kpi_working_capital"
    )
    tiles = re.findall(
        r'<div class="card tile"><span>(.*?)</span><b>(.*?)</b><span>(.*?)</span>', page
    )
    said = {what: (number, small) for what, number, small in tiles}
    for what in ("stock", "cover", "empty shelves"):
        assert said[what] == ("–", "no stock was ever counted")
    assert "Unknown: no stock was counted" in page


def test_its_figures_are_those_of_the_metrics(tmp_path: Path) -> None:
    page = page_of(
        tmp_path,
        (
            "update metrics.kpi_cover_days set cover_days = 17, on_hand = if(location_id = 'dc', "
            "0, "
            "on_hand)"
        ),
    )
    assert "<b>17 days</b>" in page
    assert "<b>50.0%</b>" in page


def test_what_nobody_rehearsed_is_drawn_without_its_costs() -> None:
    """The costs are decimals, all of them unknown where a company is too young to rehearse."""
    money = dict.fromkeys(("total_cost", "holding_cost", "shortage_cost"), pl.Decimal(38, 4))
    schema = {"policy": pl.String, "is_champion": pl.Boolean, **money}
    young = pl.DataFrame([("min_max", True, None, None, None)], schema=schema, orient="row")
    assert policy_costs(young).axes[0].get_yticklabels()[0].get_text() == "min_max ★"
