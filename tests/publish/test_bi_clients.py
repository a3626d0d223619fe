"""The snapshot through the doors BI tools use: plain DuckDB, SQLAlchemy (Superset), the Node client
(web BI), Parquet (everyone). Each is asked before and after a second run with nothing new, and adds
up to the same, to the digit."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest
import sqlalchemy

from orchestration.facts.snapshots import FILE, publish
from tests.gates.tiny_company import decide_again, found

# both drivers call themselves duckdb
sqlalchemy.dialects.registry.register("duckdb.duckdb_engine", "duckdb_engine", "Dialect")

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
    publish(warehouse, folder / "published", "run-1", "2024-12-30")
    decide_again(warehouse, "run-2")
    publish(warehouse, folder / "published", "run-2", "2024-12-30")
    return folder / "published"


@pytest.fixture(params=["versions/000001", "current"], ids=["one run", "two runs"])
def version(target: Path, request: pytest.FixtureRequest) -> Path:
    return target / str(request.param)


def test_plain_duckdb_reads_orders_while_the_warehouse_is_written(
    target: Path, version: Path
) -> None:
    with duckdb.connect(str(target.parent / "warehouse.duckdb")) as writer:
        writer.execute("begin; delete from decisions.order_lines")
        with duckdb.connect(str(version / FILE), read_only=True) as con:
            assert con.execute(ORDERS).pl().to_dicts() == ANSWER


@pytest.mark.parametrize("dialect", ["duckdb+duckdb_engine", "duckdb+duckdb_sqlalchemy"])
def test_sqlalchemy_reads_orders_and_finds_tables_with_their_comments(
    version: Path, dialect: str
) -> None:
    url = f"{dialect}:///{version / FILE}"
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


def test_parquet_copies_answer_the_same(version: Path) -> None:
    lines = pl.scan_parquet(version / "parquet" / "decisions" / "order_lines.parquet")
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


def test_the_node_client_reads_orders(version: Path, node_client: Path) -> None:
    command = ["node", "read.mjs", str(version / FILE), ORDERS]
    said = subprocess.run(
        command, cwd=node_client, capture_output=True, text=True, check=True, timeout=60
    )
    # 64-bit integers and decimals travel as text in JSON
    rows = [
        {**row, "lines": int(row["lines"]), "value": Decimal(row["value"])}
        for row in json.loads(said.stdout)
    ]
    assert rows == ANSWER
