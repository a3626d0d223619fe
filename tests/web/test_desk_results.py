"""The page of an executive: each figure with its formula, period and currency, over the weeks that
have ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import polars as pl

from orchestration.app import publishing, snapshot_queries
from orchestration.app.procurement import open_desk
from orchestration.app.results import results
from orchestration.facts import decisions
from orchestration.home import Home
from tests.web.small_home import NOW, RUN


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
    tiles = page.split('<ul class="tiles five">')[1].split("</ul>")[0].split("</li>")[:-1]
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


def test_a_policy_that_may_not_decide_yet_is_said_to_stand_in_shadow(come: Any, home: Home) -> None:
    kept = decisions.latest(home.decisions, "champions")
    assert kept is not None and "in shadow" not in come("vera", "viewer").get("/results").text
    agent = kept.filter(policy="min_max").with_columns(policy=pl.lit("agent"), is_in_shadow=True)
    both = pl.concat([kept, agent], how="diagonal_relaxed")
    decisions.record(home.decisions, RUN, "champions", both, as_of=NOW)
    with duckdb.connect(str(home.warehouse)) as con:
        decisions.load(con, home.decisions)
    publishing.write_snapshot(home.warehouse, home.published, RUN, NOW)
    page = come("vito", "viewer").get("/results").text
    assert page.count("in shadow: it may not decide before its next rehearsal") == 1


def test_costs_are_followed_from_rehearsal_to_rehearsal(come: Any, home: Home) -> None:
    assert "begins the trend" in come("vera", "viewer").get("/results").text
    earlier, then = "an earlier run", datetime(2025, 12, 1)
    kept = decisions.latest(home.decisions, "champions")
    assert kept is not None
    moved = kept.with_columns(run_id=pl.lit(earlier), as_of=pl.lit(then).cast(pl.Datetime("us")))
    decisions.record(home.decisions, earlier, "champions", moved, as_of=then)
    with duckdb.connect(str(home.warehouse)) as con:
        decisions.load(con, home.decisions)
    publishing.write_snapshot(home.warehouse, home.published, RUN, NOW)
    with open_desk(home) as desk:
        found = results(desk).rehearsals
    assert {(str(row["day"]), row["cost"]) for row in found} == {
        ("2025-12-01", 15.0),
        ("2026-01-05", 15.0),
    }
    page = come("vito", "viewer").get("/results").text
    drawn = page.split("from rehearsal to rehearsal")[2].split("</svg>")[0]
    assert "Min-max" in drawn and "begins the trend" not in page
