"""The sample through the front door: its contract is lawful, every row finds its table, nothing is
known before it happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from orchestration.landing import LandReport, World, land
from orchestration.landing.contract.canonical import CANONICAL

SAMPLE = Path(__file__).parents[2] / "sample_data"
#: what this company has not: headers apart from their lines, and periods that are no calendar's
UNFED = {"orders", "calendar"}


@dataclass(frozen=True)
class Landed:
    con: duckdb.DuckDBPyConnection
    report: LandReport

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.con.execute(sql).fetchall()


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    with duckdb.connect() as con:
        yield Landed(con, land(con, World.load(SAMPLE), SAMPLE, tmp_path_factory.mktemp("archive")))


def test_every_row_is_loaded_or_left_out_by_name(landed: Landed) -> None:
    assert landed.rows("SELECT source_id, table_name, rule FROM raw.quarantine") == []
    assert landed.report.quarantined_rows == 0
    for counts in landed.report.sources.values():
        assert counts["rows_in"] == counts["rows_skipped"] + counts["rows_claimed"]
        assert counts["claims"] == counts["rows_loaded"] + counts["rows_repeated"]


def test_every_canonical_table_that_a_company_needs_is_fed(landed: Landed) -> None:
    empty = {
        table for table in CANONICAL if landed.rows(f"SELECT count(*) FROM raw.{table}") == [(0,)]
    }
    assert empty == UNFED


def test_every_sale_is_of_a_declared_item_at_a_declared_place(landed: Landed) -> None:
    for table in ("sales", "returns", "adjustments", "stock"):
        assert (
            landed.rows(
                f"SELECT DISTINCT item_id, location_id FROM raw.{table} EXCEPT SELECT item_id, "
                "location_id FROM raw.assortment"
            )
            == []
        )
    assert (
        landed.rows("SELECT item_id FROM raw.assortment EXCEPT SELECT item_id FROM raw.items") == []
    )
    assert (
        landed.rows(
            "SELECT location_id FROM raw.assortment EXCEPT SELECT location_id FROM raw.locations"
        )
        == []
    )


def test_no_observed_row_is_known_before_its_event(landed: Landed) -> None:
    observed = [
        name for name, table in CANONICAL.items() if table.is_observed and name not in UNFED
    ]
    assert len(observed) >= 8
    for table in observed:
        assert landed.rows(
            f"SELECT count(*) FROM raw.{table} WHERE known_at IS NULL OR known_at < event_at"
        ) == [(0,)]
    assert landed.rows("SELECT count(*) FROM raw.transfers WHERE known_at < received_at") == [(0,)]
    assert landed.rows("SELECT count(*) FROM raw.shipments WHERE known_at < delivered_at") == [(0,)]
    assert landed.rows(
        "SELECT count(*) FROM raw.signals WHERE target_on IS NULL AND known_at <= event_at"
    ) == [(0,)]


def test_now_is_the_midnight_that_ends_the_last_day(landed: Landed) -> None:
    assert landed.report.now_at == datetime(2011, 12, 10)


def test_plans_are_known_before_their_day(landed: Landed) -> None:
    assert landed.rows("SELECT count(*) FROM raw.openings WHERE known_at > event_at") == [(0,)]
    assert landed.rows("SELECT count(*) FROM raw.prices WHERE known_at > event_at") == [(0,)]
    assert landed.rows("SELECT count(*) FROM raw.promotions WHERE known_at > starts_at") == [(0,)]
    assert landed.rows("SELECT count(*) FROM raw.signals WHERE target_on <= known_at::DATE") == [
        (0,)
    ]


def test_scenarios_speak_of_this_company(landed: Landed) -> None:
    known = {
        "supplier_id": {row[0] for row in landed.rows("SELECT supplier_id FROM raw.suppliers")},
        "location_id": {row[0] for row in landed.rows("SELECT location_id FROM raw.locations")},
        "category": {row[0] for row in landed.rows("SELECT levels[1] FROM raw.items")},
    }
    paths = sorted((SAMPLE / "scenarios").glob("*.yml"))
    past = [SAMPLE / "scenarios" / f"{name}.yml" for name in ("demand_surge", "supplier_late")]
    # the others are asked of the twin: tests/line/test_simulate_command.py
    assert set(past) < set(paths)
    for path in past:
        scenario = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert scenario["scenario"] == path.stem
        assert date(2010, 12, 1) <= scenario["starts_on"] < scenario["ends_on"] <= date(2011, 12, 9)
        for effect in scenario["effects"]:
            assert effect["kind"] in ("lead_time_delay", "demand_factor")
            assert all(value in known[name] for name, value in effect["scope"].items())
