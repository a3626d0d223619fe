"""The snapshot through the doors BI tools use: plain DuckDB, SQLAlchemy (Superset), the Node client
(web BI), Parquet (everyone). Each is asked before and after a second run with nothing new, and adds
up to the same, to the digit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlalchemy

from orchestration.app.publishing import write_snapshot
from orchestration.facts.published_snapshots import FILE
from tests.gates.tiny_company import decide_again, found
from tests.publish.bi_clients import (
    DRIVERS,
    by_duckdb,
    by_node,
    by_sqlalchemy,
    engine_of,
    node_client,
)

__all__ = ["node_client"]

ORDERS = (
    "select kind, count(*) as lines, sum(value) as value from decisions.order_lines group by kind "
    "order by kind"
)
ANSWER = [
    {"kind": "purchase", "lines": 2, "value": Decimal("408.0000")},
    {"kind": "transfer", "lines": 1, "value": Decimal("68.0000")},
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bi")
    warehouse = found(folder / "warehouse.duckdb")
    write_snapshot(warehouse, folder / "published", "run-1", "2024-12-30")
    decide_again(warehouse, "run-2")
    write_snapshot(warehouse, folder / "published", "run-2", "2024-12-30")
    return folder / "published"


@pytest.fixture(params=["versions/000001", "current"], ids=["one run", "two runs"])
def version(target: Path, request: pytest.FixtureRequest) -> Path:
    return target / str(request.param)


def test_plain_duckdb_reads_orders_while_the_warehouse_is_written(
    target: Path, version: Path
) -> None:
    with duckdb.connect(str(target.parent / "warehouse.duckdb")) as writer:
        writer.execute("begin; delete from decisions.order_lines")
        assert by_duckdb(version / FILE, ORDERS) == ANSWER


@pytest.mark.parametrize("driver", DRIVERS)
def test_sqlalchemy_reads_orders_and_finds_tables_with_their_comments(
    version: Path, driver: str
) -> None:
    assert by_sqlalchemy(version / FILE, ORDERS, driver) == ANSWER
    engine = engine_of(version / FILE, driver)
    try:
        inspector = sqlalchemy.inspect(engine)
        assert "fct_demand" in inspector.get_table_names(schema="marts")
        assert inspector.get_table_comment("fct_demand", schema="marts")["text"].startswith(
            "Units wanted"
        )
    finally:
        engine.dispose()


def test_parquet_copies_answer_the_same(version: Path) -> None:
    lines = pl.scan_parquet(version / "parquet" / "decisions" / "order_lines.parquet")
    answer = (
        lines.group_by("kind")
        .agg(lines=pl.len(), value=pl.col("value").sum())
        .sort("kind")
        .collect()
    )
    assert answer.to_dicts() == ANSWER


def test_the_node_client_reads_orders(version: Path, node_client: Path) -> None:
    assert by_node(version / FILE, ORDERS, node_client) == ANSWER
