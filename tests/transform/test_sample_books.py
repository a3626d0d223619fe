"""The sample company's books, whose difference at every count is nothing: stock is what came in
less what went out."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from warehouses import REPOSITORY, build, query

from orchestration.landing import World, land


@pytest.mark.line
def test_every_count_of_the_sample_is_explained_by_its_movements(tmp_path: Path) -> None:
    warehouse, sample = tmp_path / "warehouse.duckdb", REPOSITORY / "sample_data"
    with duckdb.connect(str(warehouse)) as con:
        land(con, World.load(sample), sample, tmp_path / "archive")
    build(warehouse, "+int_stock_balanced", "run")
    compared = (
        "select count(difference), sum(abs(difference)) from intermediate.int_stock_balanced where "
        "is_count"
    )
    ((counts, unexplained),) = query(warehouse, compared)
    assert counts > 20_000
    assert unexplained == 0
