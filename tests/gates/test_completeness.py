"""The completeness score: what is known about an item decides whether the line may decide by
itself."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest

from models.replenishment.implausible_lines import WAITING
from orchestration.expectations import completeness, held_back, incomplete
from orchestration.expectations.completeness import ENOUGH
from orchestration.expectations.doubtful_items import DOUBTED
from tests.gates.tiny_company import found

FORGET = """
    update marts.fct_demand set quantity = null, is_censored = true where item_id = 'lamp'
        and period_start >= '2024-10-01';
    update marts.fct_stock_positions set stock_known_at = timestamp '2024-10-01'
        where item_id = 'lamp';
    update marts.dim_item_locations set unit_cost = null where item_id = 'lamp';
"""


def test_what_is_known_and_recent_scores_near_one_and_needs_nobody(tmp_path: Path) -> None:
    with duckdb.connect(str(found(tmp_path / "warehouse.duckdb"))) as con:
        scores = completeness(con)
        assert len(scores) == 4  # two items at the shop, and at the warehouse that feeds it
        assert scores["score"].min() > 0.95  # type: ignore[operator]
        assert incomplete(completeness(con)).is_empty()


def test_an_item_of_which_too_little_is_known_is_an_exception_that_says_what_is_missing(
    tmp_path: Path,
) -> None:
    with duckdb.connect(str(found(tmp_path / "warehouse.duckdb"))) as con:
        con.execute(FORGET)
        found_short = incomplete(completeness(con))
    assert found_short.select("item_id", "location_id").rows() == [("lamp", "dc"), ("lamp", "shop")]
    assert set(found_short["kind"]) == {"incomplete_data"}
    assert found_short["reason"][0] == (
        "only 38 % of what a decision needs is known (demand 51 %, half a year of history 100 %, a "
        "recent count 0 %, "
        "cost and lead time 0 %): a person decides"
    )


@pytest.mark.parametrize("kind", [*DOUBTED, *WAITING])
def test_a_line_in_doubt_is_never_approved_by_itself_however_much_is_known(
    tmp_path: Path, kind: str
) -> None:
    with duckdb.connect(str(found(tmp_path / "warehouse.duckdb"))) as con:
        known = completeness(con)
    doubt = known.head(1).select("item_id", "location_id", kind=pl.lit(kind))
    held = held_back(known, doubt)["score"]
    assert held[0] < ENOUGH and held[1:].equals(known["score"][1:])
