"""The snapshot through the doors BI tools use: plain DuckDB, SQLAlchemy (Superset), the Node client
(web BI), Parquet (everyone)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlalchemy

from orchestration.facts.snapshots import FILE, publish
from tests.gates.tiny_company import found

# both drivers call themselves duckdb
sqlalchemy.dialects.registry.register("duckdb.duckdb_engine", "duckdb_engine", "Dialect")

ORDERS = (
    "select kind, count(*) as lines, sum(value) as value from decisions.order_lines group by kind "
    "order by kind"
)
ANSWER = [
    {"kind": "purchase", "lines": 2, "value": 408.0},
    {"kind": "transfer", "lines": 1, "value": 68.0},
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bi")
    publish(found(folder / "warehouse.duckdb"), folder / "published", "run-1", "2024-12-30")
    return folder / "published"


def test_plain_duckdb_reads_orders_while_the_warehouse_is_written(target: Path) -> None:
    with duckdb.connect(str(target.parent / "warehouse.duckdb")) as writer:
        writer.execute("begin; delete from decisions.order_lines")
        with duckdb.connect(str(target / "current" / FILE), read_only=True) as con:
            assert con.execute(ORDERS).pl().to_dicts() == ANSWER


@pytest.mark.parametrize("dialect", ["duckdb+duckdb_engine", "duckdb+duckdb_sqlalchemy"])
def test_sqlalchemy_reads_orders_and_finds_tables_with_their_comments(
    target: Path, dialect: str
) -> None:
    url = f"{dialect}:///{target / 'current' / FILE}"
    engine = sqlalchemy.create_engine(
        url, connect_args={"read_only": True}, poolclass=sqlalchemy.NullPool
    )
    try:
        with engine.connect() as con:
            assert [dict(row) for row in con.execute(sqlalchemy.text(ORDERS)).mappings()] == ANSWER
        inspector = sqlalchemy.inspect(engine)
        assert "fct_demand" in inspector.get_table_names(schema="marts")
        assert inspector.get_table_comment("fct_demand", schema="marts")["text"].startswith(
            "Units wanted"
        )
    finally:
        engine.dispose()


def test_parquet_copies_answer_the_same(target: Path) -> None:
    lines = pl.scan_parquet(target / "current" / "parquet" / "decisions" / "order_lines.parquet")
    answer = (
        lines.group_by("kind")
        .agg(lines=pl.len(), value=pl.col("value").sum())
        .sort("kind")
        .collect()
    )
    assert answer.to_dicts() == ANSWER


@pytest.fixture(scope="module")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed: the Node client was not tried")
    client = tmp_path_factory.mktemp("client") / "node_client"
    shutil.copytree(Path(__file__).parent / "node_client", client)
    installed = subprocess.run(
        ["npm", "install", "--silent"],
        cwd=client,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if installed.returncode != 0:
        pytest.skip(
            "npm cannot install @duckdb/node-api, the Node client was not tried: "
            f"{installed.stderr.strip()[:200]}"
        )
    return client


def test_the_node_client_reads_orders(target: Path, node_client: Path) -> None:
    command = ["node", "read.mjs", str(target / "current" / FILE), ORDERS]
    said = subprocess.run(
        command, cwd=node_client, capture_output=True, text=True, check=True, timeout=60
    )
    # 64-bit integers travel as text in JSON
    rows = [{**row, "lines": int(row["lines"])} for row in json.loads(said.stdout)]
    assert rows == ANSWER
