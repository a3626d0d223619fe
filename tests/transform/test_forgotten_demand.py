"""Neither hashing nor forgetting a customer moves a number of demand: returns find the same
sales."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
import yaml
from warehouses import REPOSITORY, build

from orchestration.landing import World, forget, land
from orchestration.landing.contract.privacy import hidden
from orchestration.landing.load.landing import session

SAMPLE = REPOSITORY / "sample_data"
#: Sums of money depend in their last bits on the order in which DuckDB adds, which is not ours.
DEMAND = "SELECT * REPLACE (round(revenue, 6) AS revenue) FROM marts.fct_demand ORDER BY ALL"


def write_world(folder: Path) -> World:
    """The last weeks of the sample's real invoices as a world of their own."""
    told = yaml.safe_load((SAMPLE / "world.yml").read_text(encoding="utf-8"))
    told["sources"] = {"invoices": told["sources"]["invoices"]}
    (folder / "erp" / "invoices").mkdir(parents=True)
    for path in sorted((SAMPLE / "erp" / "invoices").glob("*.csv"))[-60:]:
        shutil.copy(path, folder / "erp" / "invoices")
    (folder / "world.yml").write_text(yaml.safe_dump(told), encoding="utf-8")
    return World.load(folder)


def demand(warehouse: Path) -> list[tuple[object, ...]]:
    build(warehouse, "+fct_demand", "run")
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return con.execute(DEMAND).fetchall()


@pytest.mark.line
def test_demand_is_the_same_with_hashes_with_ids_and_with_stand_ins(tmp_path: Path) -> None:
    warehouse, archive, world = (
        tmp_path / "warehouse.duckdb",
        tmp_path / "state" / "archive",
        write_world(tmp_path / "data"),
    )
    with duckdb.connect(str(warehouse)) as con:
        land(con, world, tmp_path / "data", archive)
    hashed = demand(warehouse)
    assert len(hashed) > 1000

    with duckdb.connect(str(warehouse)) as con:
        files = f"read_csv('{tmp_path}/data/erp/invoices/*.csv', all_varchar=true)"
        with session(con, world, archive) as (cur, _):
            ids = (
                f"SELECT DISTINCT CustomerID AS id, {hidden('CustomerID')} AS hash FROM {files} "
                "WHERE CustomerID <> ''"
            )
            cur.execute(f"CREATE TEMP TABLE plain AS {ids}")
            returned = cur.execute(
                """SELECT plain.id FROM intermediate.int_returns_matched
                    JOIN raw.returns USING (row_key)
                JOIN plain ON plain.hash = customer_id WHERE matched_by <> 'nothing' GROUP BY 1
                    ORDER BY count(*) DESC, 1 LIMIT 3"""
            ).fetchall()
            for table in ("sales", "returns"):
                cur.execute(
                    f"UPDATE raw.{table} SET customer_id = plain.id FROM plain WHERE customer_id = "
                    "plain.hash"
                )
        assert con.execute(
            "SELECT count(*) FROM raw.sales WHERE length(customer_id) = 32"
        ).fetchone() == (0,)
    assert demand(warehouse) == hashed, "as if the ids had been stored"

    assert len(returned) == 3
    with duckdb.connect(str(warehouse)) as con:
        for (customer,) in returned:
            assert forget(con, world, archive, customer).rows > 1
        assert con.execute(
            "SELECT count(*) FROM raw.sales WHERE length(customer_id) < 32"
        ).fetchone() == (0,)
    assert demand(warehouse) == hashed, "as if nobody had been forgotten"
    kept = [path.read_bytes() for path in archive.iterdir() if path.is_file()]
    assert not [
        customer for (customer,) in returned for content in kept if customer.encode() in content
    ]
