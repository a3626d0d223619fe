"""Publishing: what is in a snapshot, that it is whole, and that nobody ever reads half of one."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.app import publishing
from orchestration.app.publishing import write_snapshot
from orchestration.facts.published_snapshots import FILE, PublishError, current
from orchestration.home import Home
from tests.gates.tiny_company import decide_again, found
from tests.publish.drill import drill

AT = "2024-12-30 06:00:00"


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return found(tmp_path / "warehouse.duckdb")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "published"


def test_a_snapshot_holds_the_truth_and_says_which_run_it_shows(
    warehouse: Path, target: Path
) -> None:
    snapshot = write_snapshot(warehouse, target, "run-1", AT)
    with snapshot.connect() as con:
        said = con.execute(
            "select version, run_id, published_at::varchar from published.snapshot"
        ).fetchall()
        schemas = con.execute(
            "select distinct schema_name from duckdb_tables() order by 1"
        ).fetchall()
        rows = con.execute("select count(*) from marts.fct_demand").fetchone()
    assert said == [(1, "run-1", AT)]
    assert [name for (name,) in schemas] == [
        "decisions",
        "decisions_history",
        "marts",
        "metrics",
        "published",
    ]
    assert rows == (364,)
    assert snapshot.tables["marts.fct_demand"] == 364


def test_a_second_run_adds_nothing_to_any_sum_and_stands_in_the_history(
    warehouse: Path, target: Path
) -> None:
    def sums() -> dict[str, Any]:
        with current(target).connect() as con:
            tables = con.execute(
                "select table_name from duckdb_tables() where schema_name = 'decisions'"
            ).fetchall()
            return {
                table: con.execute(f"select count(*) from decisions.{table}").fetchone()
                for (table,) in tables
            } | {
                "value": con.execute(
                    "select sum(value), min(run_id) from decisions.order_lines"
                ).fetchone()
            }

    write_snapshot(warehouse, target, "run-1", AT)
    before = sums()
    decide_again(warehouse, "run-2")
    write_snapshot(warehouse, target, "run-2", AT)
    assert sums() == before | {"value": (before["value"][0], "run-2")}
    with current(target).connect() as con:
        kept = con.execute(
            "select count(distinct run_id), sum(value) from decisions_history.order_lines"
        ).fetchone()
        assert con.execute("select count(*) from decisions.champions").fetchone() == (3,)
    assert kept == (2, 2 * before["value"][0])


def test_a_plain_publish_names_a_run_that_planned_and_the_moment_it_was_made(
    warehouse: Path, target: Path
) -> None:
    before = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    snapshot = write_snapshot(warehouse, target, "no run of the line")
    assert snapshot.run_id == "run-1"
    with snapshot.connect() as con:
        said = con.execute("select run_id, published_at from published.snapshot").fetchone()
        assert said is not None
        assert con.execute(
            "select count(*) from decisions.order_lines where run_id = ?", [said[0]]
        ).fetchone() == (3,)
    assert before <= said[1] <= datetime.now(UTC).replace(tzinfo=None)


def test_a_run_with_nothing_to_order_shows_nothing_of_the_run_before(
    warehouse: Path, target: Path
) -> None:
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "insert into decisions.exceptions select * replace ('run-2' as run_id) from "
            "decisions.exceptions"
        )
    with write_snapshot(warehouse, target, "run-2", AT).connect() as con:
        assert con.execute("select count(*) from decisions.order_lines").fetchone() == (0,)
        assert con.execute("select count(*) from decisions_history.order_lines").fetchone() == (3,)


def test_the_words_travel_with_the_numbers(warehouse: Path, target: Path) -> None:
    with write_snapshot(warehouse, target, "run-1", AT).connect() as con:
        table = con.execute(
            "select comment from duckdb_tables() where table_name = 'fct_demand'"
        ).fetchone()
        column = con.execute(
            "select comment from duckdb_columns() where table_name = 'fct_demand' and column_name "
            "= 'quantity'"
        ).fetchone()
    assert table == (
        "Units wanted, per item, location and period; unknown where the shelf was empty.",
    )
    assert column == ("Units wanted; null = unknown.",)


def test_parquet_copies_say_the_same(warehouse: Path, target: Path) -> None:
    snapshot = write_snapshot(warehouse, target, "run-1", AT)
    with snapshot.connect() as con:
        for table, rows in snapshot.tables.items():
            schema, name = table.split(".")
            file = str(snapshot.parquet / schema / f"{name}.parquet")
            assert con.execute(f"select count(*) from '{file}'").fetchone() == (rows,)
            differ = con.execute(
                f"(from {table} except all from '{file}') union all (from '{file}' except all from "
                f"{table})"
            ).fetchall()
            assert differ == []


def test_views_are_published_as_what_they_show(warehouse: Path, target: Path) -> None:
    # as dbt writes them: qualified with the database's name
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "create view metrics.kpi_sold as select sum(quantity) as sold from "
            '"warehouse".marts.fct_demand'
        )
    with write_snapshot(warehouse, target, "run-1", AT).connect() as con:
        assert con.execute("select sold from metrics.kpi_sold").fetchone() == (2002.0,)


def test_clients_from_duckdb_1_2_on_can_read_the_file(warehouse: Path, target: Path) -> None:
    snapshot = write_snapshot(warehouse, target, "run-1", AT)
    header = snapshot.path.read_bytes()[:4096]
    # 64 = every DuckDB from 0.9, 65 = 1.2, 66 = 1.3, 67 = 1.4
    storage_format = int.from_bytes(header[12:20], "little")
    assert header[8:12] == b"DUCK"
    assert storage_format <= 65


@pytest.mark.parametrize(
    "has_second_names", [True, False], ids=["hard links", "a file system without them"]
)
def test_parquet_of_an_unchanged_table_is_the_file_of_the_version_before(
    has_second_names: bool, warehouse: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    if not has_second_names:
        monkeypatch.setattr(os, "link", refuse)
    first = write_snapshot(warehouse, target, "run-1", AT)
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "update decisions.order_lines set quantity = quantity + 12, value = (quantity + 12) * "
            "unit_cost"
        )
        # the same, shuffled
        con.execute(
            "create or replace table marts.fct_demand as from marts.fct_demand order by known_at "
            "desc"
        )
    second = write_snapshot(warehouse, target, "run-2", AT, keep=1)
    assert not first.folder.exists()
    files = {
        table: second.parquet / f"{table.replace('.', '/')}.parquet" for table in second.tables
    }
    with duckdb.connect() as con, second.connect() as published:
        for table, file in files.items():
            assert con.execute(f"select count(*) from '{file}'").fetchone() == (
                second.tables[table],
            )
            assert file.stat().st_mode & 0o222 == 0
        changed = "select sum(quantity) from {}"
        told = published.execute(changed.format("decisions.order_lines")).fetchone()
        assert con.execute(changed.format(f"'{files['decisions.order_lines']}'")).fetchone() == told
    unchanged = {
        table for table in second.tables if second.fingerprints[table] == first.fingerprints[table]
    }
    assert unchanged == set(second.tables) - {
        "decisions.order_lines",
        "decisions_history.order_lines",
    }


def test_unchanged_parquet_takes_no_second_room(warehouse: Path, target: Path) -> None:
    first, second = (
        write_snapshot(warehouse, target, "run-1", AT),
        write_snapshot(warehouse, target, "run-2", AT),
    )
    for file in first.parquet.rglob("*.parquet"):
        assert file.samefile(second.parquet / file.relative_to(first.parquet))


def test_a_rebuild_mends_what_was_damaged_and_readers_see_the_old_until_then(
    warehouse: Path, target: Path
) -> None:
    home = Home.found(target.parent / "home", "w")
    first = write_snapshot(warehouse, home.published, "run-1", AT)
    table = next(first.parquet.rglob("fct_demand.parquet"))
    table.chmod(0o644)
    table.write_bytes(b"damaged")
    (first.folder / "snapshot.json").chmod(0o644)
    (first.folder / "snapshot.json").write_text("{")
    home.forget_derived()
    with duckdb.connect(str(home.published / "current" / FILE), read_only=True) as con:
        assert con.execute("select version from published.snapshot").fetchall() == [(1,)]
    second = write_snapshot(warehouse, home.published, "run-1", AT, is_anew=True)
    assert (second.version, current(home.published).version) == (2, 2)
    mended = second.parquet / table.relative_to(first.parquet)
    with duckdb.connect() as con:
        rows = con.execute(f"select count(*) from '{mended}'").fetchone()
    assert rows == (second.tables["marts.fct_demand"],)


def test_a_snapshot_cannot_be_written(warehouse: Path, target: Path) -> None:
    snapshot = write_snapshot(warehouse, target, "run-1", AT)
    assert {
        path.stat().st_mode & 0o222 for path in snapshot.folder.rglob("*") if path.is_file()
    } == {0}
    with snapshot.connect() as con, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        con.execute("delete from marts.fct_demand")


def test_what_an_earlier_version_published_is_told_and_no_traceback(
    warehouse: Path, target: Path
) -> None:
    write_snapshot(warehouse, target, "run-1")
    for query in ("select colour from marts.dim_items", "from marts.dim_colours"):
        with (
            pytest.raises(PublishError, match=r"run-1 .*colour.*`stockhouse run` publishes anew"),
            current(target).connect() as con,
        ):
            con.execute(query)


def test_old_versions_go_and_current_stays(warehouse: Path, target: Path) -> None:
    for run in range(1, 6):
        write_snapshot(warehouse, target, f"run-{run}", AT, keep=2)
    assert sorted(folder.name for folder in (target / "versions").iterdir()) == ["000004", "000005"]
    assert current(target).version == 5
    assert os.readlink(target / "current") == "versions/000005"
    assert (
        json.loads((target / "current.json").read_text(encoding="utf-8"))["folder"]
        == "versions/000005"
    )


def test_a_reader_keeps_its_version_when_the_next_is_published(
    warehouse: Path, target: Path
) -> None:
    with write_snapshot(warehouse, target, "run-1", AT, keep=1).connect() as con:
        write_snapshot(warehouse, target, "run-2", AT, keep=1)
        assert con.execute(
            "select run_id, (select count(*) from marts.fct_demand) from published.snapshot"
        ).fetchone() == ("run-1", 364)


def test_readers_read_while_the_warehouse_is_written(warehouse: Path, target: Path) -> None:
    write_snapshot(warehouse, target, "run-1", AT)
    with duckdb.connect(str(warehouse)) as writer:
        writer.execute("begin; delete from marts.fct_demand")
        with current(target).connect() as reader:
            assert reader.execute("select count(*) from marts.fct_demand").fetchone() == (364,)


def test_a_failed_publish_changes_nothing_and_leaves_nothing(
    warehouse: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_snapshot(warehouse, target, "run-1", AT)

    def power_cut(_: Path) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(publishing, "_seal", power_cut)
    with pytest.raises(OSError, match="power cut"):
        write_snapshot(warehouse, target, "run-2", AT)
    monkeypatch.undo()
    assert current(target).version == 1
    assert write_snapshot(warehouse, target, "run-3", AT).version == 2
    assert sorted(folder.name for folder in (target / "versions").iterdir()) == ["000001", "000002"]


def test_nothing_to_publish_is_said(tmp_path: Path, target: Path) -> None:
    with pytest.raises(PublishError, match="Nothing is published"):
        current(target)
    with pytest.raises(PublishError, match="no warehouse at"):
        write_snapshot(tmp_path / "nowhere.duckdb", target, "run-1", AT)
    empty = tmp_path / "empty.duckdb"
    duckdb.connect(str(empty)).close()
    with pytest.raises(PublishError, match="nothing to publish in marts, metrics, decisions"):
        write_snapshot(empty, target, "run-1", AT)


def test_readers_never_fail_and_never_mix_versions(tmp_path: Path) -> None:
    found_by = drill(tmp_path, readers=3, publishes=10, rows=2000)
    assert [reading.failed for reading in found_by] == [[]] * 3
    assert sum(reading.mixed for reading in found_by) == 0
    assert min(reading.reads for reading in found_by) > 0
