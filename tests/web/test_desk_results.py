"""The page of an executive: each figure with its formula, period and currency, over the weeks that
have ended."""

from __future__ import annotations

from typing import Any

from orchestration.app import snapshot_queries
from orchestration.app.procurement import open_desk
from orchestration.app.results import results
from orchestration.home import Home


def test_the_page_shows_the_metrics_as_they_stand_and_reckons_none(home: Home) -> None:
    with open_desk(home) as desk:
        found = results(desk)
    with snapshot_queries.published(home) as con:
        (year,) = snapshot_queries.rows(
            con, "select * from metrics.kpi_yearly where scope = 'company'"
        )
        weeks = snapshot_queries.rows(
            con, "select * from metrics.kpi_company_weekly order by week_start"
        )
    assert found.year == year and found.weeks == weeks and len(weeks) == 5
    assert [row["turns"] for row in found.categories] == [year["turns"]]


def test_every_figure_says_its_period_and_money_its_currency(come: Any) -> None:
    anna = come("anna")
    page = anna.get("/results").text
    tiles = page.split('<ul class="tiles">')[1].split("</ul>")[0].split("</li>")[:-1]
    assert len(tiles) == 5
    assert all("2025" in tile or "2026" in tile for tile in tiles), "a period each"
    assert sum("EUR" in tile for tile in tiles) == 3
    assert page.count("<svg") >= 5 and "Fill rate by week" in page


def test_bills_to_come_and_working_capital_count_the_same_bills(home: Home) -> None:
    with open_desk(home) as desk:
        found = results(desk)
    received = sum(row["received"] for row in found.cash)
    assert received == float(found.capital["payable_value"]) == 30.0
    (week,) = (row for row in found.cash if row["received"])
    assert str(week["week"]) == "2026-01-26", "thirty days after 1 January"
