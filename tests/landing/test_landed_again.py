"""What the platform hands over itself, and what is read from the archive again, is the same row by
its ids, under the number it came as."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.landing import LandReport, land_records, table_hashes
from orchestration.landing.load.store import read_receipts
from tests.landing.company import FIRST_DAY, SALES, Company

NOON = datetime(2024, 3, 2, 12)


def handed(company: Company, table: str, known_at: datetime = NOON, **row: Any) -> None:
    """One row that the platform hands over."""
    hand_over(company, {table: pl.DataFrame([row])}, known_at)


def hand_over(
    company: Company, tables: dict[str, pl.DataFrame], known_at: datetime = NOON
) -> LandReport:
    world, archive = company.world, company.archive
    return land_records(company.con, world, "ledger", tables, known_at=known_at, archive=archive)


def test_archived_deliveries_keep_the_number_they_came_under(company: Company) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    company.write("tills/b.csv", FIRST_DAY.replace("T1,", "T2,"))
    company.land()
    said = "SELECT path, landed_seq, rows_in, part FROM raw.manifest JOIN raw.sales USING (delivery) ORDER BY ALL"
    before, hashes = company.rows(said), table_hashes(company.con)
    archived = "SELECT path, landed_seq FROM raw.manifest ORDER BY 2"
    assert company.rows(archived) == [("tills/a.csv", 1), ("tills/b.csv", 2)]
    company.reland()
    assert company.rows(said) == before and table_hashes(company.con) == hashes
    assert company.rows(archived) == [("tills/a.csv", 1), ("tills/b.csv", 2)]


def test_what_the_platform_handed_over_is_there_after_a_rebuild(company: Company) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    order = {
        "order_id": "SHP1",
        "line_id": "1",
        "item_id": "apple",
        "location_id": "north",
        "supplier_id": "S1",
        "event_at": NOON,
        "quantity": 5.0,
    }
    handed(company, "purchase_orders", **order)
    handed(company, "purchase_orders", **order | {"quantity": 6.0}, known_at=NOON.replace(hour=13))
    handed(company, "purchase_orders", **order | {"line_id": "2"})
    rows = "SELECT row_key, row_hash, quantity, known_at, source_id FROM raw.purchase_orders ORDER BY ALL"
    before = company.rows(rows)
    assert len(before) == 3 and len({row[0] for row in before}) == 2  # a key is the ids alone
    counts = "SELECT source_id, rows_in, rows_claimed, claims, rows_loaded, rows_repeated FROM raw.manifest WHERE source_id = 'ledger'"
    assert company.rows(counts) == [("ledger", 1, 1, 1, 1, 0)] * 3
    hashes = table_hashes(company.con)
    company.reland()
    assert company.rows(rows) == before and table_hashes(company.con) == hashes


def test_a_row_of_the_platform_s_own_is_the_same_by_its_ids_whatever_else_it_says(
    company: Company,
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()

    def keys(table: str, one: dict[str, Any], **changes: Any) -> int:
        handed(company, table, **one)
        for name, value in changes.items():
            handed(company, table, **one | {name: value})
        return len(company.rows(f"SELECT DISTINCT row_key FROM raw.{table}"))

    order = {"order_id": "1", "line_id": "1", "item_id": "a", "event_at": NOON, "quantity": 1.0}
    assert keys("purchase_orders", order, status="open", unit="case", currency="EUR") == 1
    assert keys("purchase_orders", order, line_id="2", item_id="b", supplier_id="S") == 4
    alias = {"kind": "item", "alias": "x", "id": "a"}
    assert keys("aliases", alias, alias="y", id="b") == 3
    promotion = {"name": "may", "starts_at": NOON, "item_id": "a"}
    assert keys("promotions", promotion, name="june", kind="sale") == 2


def test_a_source_read_anew_keeps_its_numbers_among_those_of_others(company: Company) -> None:
    master = "  master: {silo: erp, path: items.csv, key: [item], known_at: date '2024-01-01', into: [items: {item_id: item, name: name}]}\n"
    company.contract(SALES + master)
    company.write("tills/a.csv", FIRST_DAY)
    company.write("items.csv", "item,name\napple,Apple\n")
    company.land()
    company.write("tills/b.csv", FIRST_DAY.replace("T1,", "T2,"))
    company.land()
    numbers = "SELECT path, landed_seq FROM raw.manifest ORDER BY 2"
    before = company.rows(numbers)
    assert [seq for _, seq in before] == [1, 2, 3] and before[1][0] == "items.csv"
    company.contract(SALES.replace("1 day", "2 days") + master)
    assert company.land().read_anew == ["tills"]
    assert company.rows(numbers) == before


ORDER = {"order_id": "1", "line_id": "1", "item_id": "a", "event_at": NOON, "quantity": 1.0}


def test_the_same_rows_in_another_order_of_columns_and_lines_are_handed_over_once(
    company: Company,
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    both = pl.DataFrame([ORDER, ORDER | {"line_id": "2"}])
    for frame in (both, both.reverse(), both.select(reversed(both.columns))):
        report = hand_over(company, {"purchase_orders": frame})
        assert report.now_at == company.rows("SELECT now_at FROM raw.world")[0][0]
    said = "SELECT silo, file, rows_loaded FROM raw.manifest WHERE source_id = 'ledger'"
    assert company.rows(said) == [("platform", "ledger", 2)]
    assert "ledger" not in report.sources
    told: list[str] = []
    company.land(progress=told.append)
    assert told == []  # nothing of it is missing


def test_a_warehouse_that_lost_what_the_platform_handed_over_has_it_from_the_archive_again(
    company: Company,
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    handed(company, "purchase_orders", **ORDER)
    hashes = table_hashes(company.con)
    company.con.execute("DELETE FROM raw.manifest WHERE source_id = 'ledger'")
    company.con.execute("DELETE FROM raw.purchase_orders")
    said: list[str] = []
    company.land(progress=said.append)
    assert table_hashes(company.con) == hashes
    assert any("ledger" in line and "lacks 1 archived" in line for line in said), said
    company.con.execute("INSERT INTO raw.manifest (source_id, contract) VALUES ('ledger', '')")
    company.land()  # as after a kill at the end of it
    assert table_hashes(company.con) == hashes
    assert company.rows("SELECT 1 FROM raw.manifest WHERE delivery IS NULL") == []


def test_files_that_are_gone_come_from_the_archive_while_the_contract_has_their_source(
    company: Company,
) -> None:
    till = company.write("tills/a.csv", FIRST_DAY)
    company.land()
    (receipt,) = read_receipts(company.archive)
    assert (receipt.source_id, receipt.silo) == ("tills", "pos")
    hashes = table_hashes(company.con)
    till.unlink()

    def lose() -> list[str]:
        company.con.execute("DELETE FROM raw.manifest; DELETE FROM raw.sales")
        said: list[str] = []
        company.land(progress=said.append)
        return said

    (said,) = lose()
    assert said == "tills: the warehouse lacks 1 archived deliveries; reading its archive anew"
    assert table_hashes(company.con) == hashes
    company.contract(SALES.replace("  tills:", "  shops:") + "    optional: true\n")
    assert lose() == []


def test_a_path_at_which_nothing_lies_any_more_is_said_unless_it_may_be_absent(
    company: Company,
) -> None:
    till = company.write("tills/a.csv", FIRST_DAY)
    assert company.land().doubts == company.land().doubts == []
    till.rename(till.with_suffix(".txt"))  # as after an export was renamed
    (said,) = company.land().doubts
    assert said.startswith("nothing new of tills: no file lies at `tills/*.csv`")
    lines = (company.data / "world.yml").read_text().splitlines()
    at = 1 + lines.index("    path: tills/*.csv")
    assert said.endswith(f"look at world.yml:{at} sources.tills.path"), said
    company.contract(SALES + "    optional: true\n")
    assert company.land().doubts == []


def test_a_large_file_that_has_landed_is_known_without_a_copy(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.landing.load.landing.BATCH_BYTES", 80)
    till = company.write("tills/a.csv", FIRST_DAY)
    assert company.land().new_rows == 2
    with monkeypatch.context() as m:
        m.setattr("orchestration.landing.readers.drops.Drop.copy_to", None)
        assert company.land().new_rows == 0
    till.write_text(FIRST_DAY.replace("3,1.50", "4,1.50"))
    assert company.land().new_deliveries == 1


def test_a_source_that_is_received_has_nothing_where_nothing_was_received(
    company: Company,
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    web = SALES.replace("  tills:", "  web:").replace("path: tills/*.csv", "url: https://a.example")
    company.contract(SALES + web.replace("sources:\n", ""))
    for inbox in (None, company.folder / "inbox"):
        report = company.land(inbox=inbox)
        assert (report.doubts, report.set_aside, "web" in report.sources) == ([], [], False)
    assert company.rows("SELECT count(*) FROM raw.sales") == [(2,)]


def test_rows_passed_over_by_name_are_counted_under_that_name(company: Company) -> None:
    company.contract(
        SALES.replace("    key:", "    skip: {gift: price = '0', void: qty = '0'}\n    key:")
    )
    gifts = "".join(f"T1,{n},fig,north,2024-03-01,{n % 2},0\n" for n in range(3, 8))
    company.write("tills/a.csv", FIRST_DAY + gifts + "T1,9,fig,north,2024-03-01,0,1\n")
    company.land()
    told = company.rows("SELECT rows_in, rows_skipped, rows_claimed, skipped FROM raw.manifest")
    assert [(*counts, json.loads(names)) for *counts, names in told] == [
        (8, 6, 2, {"gift": 5, "void": 1})
    ]


def test_the_first_message_of_an_inbox_may_leave_out_what_is_empty(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  scans: {silo: wms, stream: {subject: scans}, key: [id], known_at: received_at,
    into: [adjustments: {item_id: sku, location_id: site, delta: change, event_at: at, reason: why}]}
""",
    )
    inbox = tmp_path / "inbox"
    (inbox / "scans").mkdir(parents=True)
    row = {"id": "m1", "sku": "a", "site": "n", "change": -2, "at": "2024-03-01T10:00:00Z"}
    line = json.dumps(row | {"received_at": "2024-03-01T10:00:05Z"})
    (inbox / "scans" / "000001.jsonl").write_text(line + "\n")
    company.land(inbox=inbox)
    assert company.rows("SELECT delta, reason FROM raw.adjustments") == [(-2.0, None)]


def test_the_history_of_states_that_the_version_before_wrote_is_kept(company: Company) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    company.con.execute("INSERT INTO landing.state_history (source_id) VALUES ('tills')")
    company.con.execute("ALTER TABLE landing.state_history RENAME TO sightings")
    company.land()
    assert company.rows("SELECT source_id FROM landing.state_history") == [("tills",)]
