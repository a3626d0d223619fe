"""The whole line on the sample company, as a newcomer runs it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]
STATIONS = ["land", "transform", "features", "forecast", "rehearse", "replenish", "publish"]
Command = Callable[..., Any]


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


def test_first_run_lands_everything_and_proposes_orders(sample_run: tuple[Path, dict[str, Any]]) -> None:
    home, report = sample_run
    assert list(report["stations"]) == STATIONS
    assert report["new_deliveries"] > 300
    assert report["new_orders"] > 0
    assert report["order_value"] > 0
    lines = query(home / "derived/warehouse.duckdb", "select count(*), sum(value) from decisions.order_lines")
    assert lines[0][0] == report["new_orders"]
    assert lines[0][1] == pytest.approx(report["order_value"])


def test_rows_in_equal_rows_claimed_skipped_and_unclaimed_in_every_delivery(sample_run: tuple[Path, dict[str, Any]]) -> None:
    broken = query(
        sample_run[0] / "derived/warehouse.duckdb",
        """select path from raw.manifest where rows_loaded + rows_quarantined + rows_repeated <> rows_claimed + rows_unclaimed""",
    )
    assert broken == []


def test_every_order_line_s_parts_add_up_to_its_quantity(sample_run: tuple[Path, dict[str, Any]]) -> None:
    off = query(
        sample_run[0] / "derived/warehouse.duckdb",
        """
        select line.order_line_id from decisions.order_lines as line
        left join (select order_line_id, sum(quantity) as total from decisions.explanations group by all) using (order_line_id)
        where total is distinct from quantity
        """,
    )
    assert off == []


def test_purchases_go_to_the_distribution_centre_and_transfers_leave_it(sample_run: tuple[Path, dict[str, Any]]) -> None:
    routes = query(
        sample_run[0] / "derived/warehouse.duckdb",
        "select distinct kind, location_id = 'DC1', from_id = 'DC1' from decisions.order_lines order by all",
    )
    assert routes == [("purchase", True, False), ("transfer", False, True)]


def test_second_run_with_nothing_new_lands_nothing_and_orders_nothing(sample_home: Path, command: Command) -> None:
    def documents() -> Any:
        with sqlite3.connect(sample_home / "state/ledger.sqlite") as ledger:
            return ledger.execute("select count(*) from events").fetchone()

    before = documents()
    report = json.loads(command("run", "sample_data", "--home", sample_home, "--json").stdout)
    assert (report["new_deliveries"], report["new_rows"], report["new_orders"]) == (0, 0, 0)
    assert documents() == before


def test_rebuild_from_state_gives_equal_table_hashes(sample_home: Path, command: Command) -> None:
    result = json.loads(command("rebuild", "sample_data", "--home", sample_home, "--json").stdout)
    assert result["changed"] == []
    assert result["tables"] > 40


def test_backup_and_restore_then_rebuild_give_the_same_tables(sample_home: Path, tmp_path: Path, command: Command) -> None:
    command("backup", tmp_path / "state.tar.gz", "--home", sample_home)
    command("restore", tmp_path / "state.tar.gz", "--home", tmp_path / "second")
    first = json.loads(command("rebuild", "sample_data", "--home", sample_home, "--json").stdout)["hashes"]
    second = json.loads(command("rebuild", "sample_data", "--home", tmp_path / "second", "--json").stdout)["hashes"]
    assert first == second


def test_snapshot_answers_a_plain_client_while_a_run_is_writing(sample_home: Path, command: Command) -> None:
    failures: list[Exception] = []
    answers: list[int] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                answers.append(
                    query(sample_home / "derived/published/current/stockhouse.duckdb", "select count(*) from decisions.order_lines")[0][0]
                )
            except duckdb.Error as error:
                failures.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        command("run", "sample_data", "--home", sample_home, "--json")
    finally:
        stop.set()
        reader.join()
    assert not failures
    assert len(answers) > 10
    assert min(answers) > 0


def test_a_home_belongs_to_one_world(sample_home: Path, tmp_path: Path, command: Command) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = (Path("sample_data") / "world.yml").read_text(encoding="utf-8").replace("world: sample", "world: another", 1)
    (other / "world.yml").write_text(text, encoding="utf-8")
    done = command("run", other, "--data", "sample_data", "--home", sample_home, code=2)
    assert "belongs to world 'sample'" in done.stderr


def test_replay_writes_the_scorecard_and_the_orders(sample_home: Path, tmp_path: Path, command: Command) -> None:
    command(
        "replay", "sample_data", "--start", "2011-10-15", "--periods", "28", "--orders", "2", "--policies",
        "quantile_order_up_to,min_max", "--home", sample_home, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    card = json.loads((tmp_path / "out/scorecard.json").read_text(encoding="utf-8"))
    assert set(card["policies"]) == {"quantile_order_up_to", "min_max"}
    for policy in card["policies"].values():
        assert len(policy["by_period"]) == 28
        assert policy["total_cost"] == pytest.approx(sum(entry["total_cost"] for entry in policy["by_period"]))
    orders = pl.read_parquet(tmp_path / "out/orders.parquet")
    assert orders.columns == ["policy", "period_start", "item_id", "location_id", "quantity"]
    assert orders["period_start"].n_unique() == 2


def test_trace_leads_from_an_order_line_to_files_and_lines(sample_home: Path, command: Command) -> None:
    line = query(sample_home / "derived/warehouse.duckdb", "select order_line_id from decisions.order_lines order by value desc limit 1")[
        0
    ][0]
    found = json.loads(command("trace", line, "--home", sample_home, "--json").stdout)
    assert found["order_line_id"] == line
    assert any("erp/invoices/" in str(row) for step in found["steps"] for row in step["rows"])
