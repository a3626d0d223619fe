"""The page of an executive: each figure with its formula, period and currency, over the weeks that
have ended."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.app.procurement import open_desk
from orchestration.app.results import results
from orchestration.home import Home


def test_figures_of_the_year_are_ratios_of_sums_over_the_weeks_that_have_ended(
    home: Home,
) -> None:
    with open_desk(home) as desk:
        found = results(desk)
    assert len(found.weeks) == 5
    assert found.year["fill_rate"] == pytest.approx(70 / 71)
    assert (found.year["otif_share"], found.year["turns"]) == (1.0, pytest.approx(52 * 175 / 50))
    assert found.year["gmroi"] == pytest.approx(52 * (350 - 175) / 50)
    assert [row["otif_share"] for row in found.weeks] == [None, 1.0, None, 1.0, None]


def test_every_figure_says_its_period_and_money_its_currency(come: Any) -> None:
    anna = come("anna")
    page = anna.get("/results").text
    tiles = page.split('<ul class="tiles">')[1].split("</ul>")[0].split("</li>")[:-1]
    assert len(tiles) == 5
    assert all("2025" in tile or "2026" in tile for tile in tiles), "a period each"
    assert sum("EUR" in tile for tile in tiles) == 3
    assert page.count("<svg") >= 5 and "Fill rate by week" in page
