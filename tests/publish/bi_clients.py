"""Stock clients that BI tools stand on, each handed a published file and a query: rows as dicts,
money as decimals."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy

# both drivers call themselves duckdb
sqlalchemy.dialects.registry.register("duckdb.duckdb_engine", "duckdb_engine", "Dialect")
DRIVERS = ("duckdb+duckdb_engine", "duckdb+duckdb_sqlalchemy")


def by_duckdb(file: Path, sql: str) -> list[dict[str, Any]]:
    """The plain Python client."""
    with duckdb.connect(str(file), read_only=True) as con:
        return con.execute(sql).pl().to_dicts()


def engine_of(file: Path, driver: str) -> sqlalchemy.Engine:
    """SQLAlchemy's door to the file, as Superset opens it."""
    return sqlalchemy.create_engine(
        f"{driver}:///{file}",
        connect_args={"read_only": True},
        poolclass=sqlalchemy.NullPool,
    )


def by_sqlalchemy(file: Path, sql: str, driver: str) -> list[dict[str, Any]]:
    """SQLAlchemy through one of its two drivers."""
    engine = engine_of(file, driver)
    try:
        with engine.connect() as con:
            return [dict(row) for row in con.execute(sqlalchemy.text(sql)).mappings()]
    finally:
        engine.dispose()


def by_node(file: Path, sql: str, client: Path) -> list[dict[str, Any]]:
    """The Node client; 64-bit integers (lines) and decimals (value) travel as text in JSON."""
    command = ["node", "read.mjs", str(file), sql]
    said = subprocess.run(
        command, cwd=client, capture_output=True, text=True, check=True, timeout=60
    )
    return [
        {**row, "lines": int(row["lines"]), "value": Decimal(row["value"])}
        for row in json.loads(said.stdout)
    ]


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
