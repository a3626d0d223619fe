"""What landing promises whatever a company hands over: nothing lost, nothing twice, everything
counted and dated."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from orchestration.facts.planning_inputs import read_unmet
from orchestration.landing import ContractError, land, land_records, table_hashes
from orchestration.landing.contract.canonical import CANONICAL
from tests.landing.company import FIRST_DAY, Company


def test_every_canonical_table_exists_before_anything_feeds_it(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    found = {
        name
        for (name,) in company.rows(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'"
        )
    }
    assert found == {*CANONICAL, "world", "manifest", "quarantine"}


def test_same_bytes_again_change_nothing(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    first = company.land()
    before = company.business()
    company.write("tills/copy-of-1.csv", FIRST_DAY)
    again = company.land()
    assert (first.new_deliveries, first.new_rows) == (1, 2)
    assert (again.new_deliveries, again.new_rows) == (0, 0)
    assert company.business() == before


def test_a_row_leads_back_to_its_bytes(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    delivery, row_no = company.rows(
        "SELECT delivery, row_no FROM raw.sales WHERE item_id = 'pear'"
    )[0]
    lines = (company.archive / delivery).read_text().splitlines()
    assert lines[row_no].startswith("T1,2,pear")


def test_correction_is_a_new_version_never_dated_before_its_delivery(tmp_path: Path) -> None:
    dated = """
sources:
  tills:
    silo: pos
    path: tills/*.csv
    key: [till, line]
    known_after: 1 day
    delivered_at: "_file::date"
    into:
      - sales: {item_id: item, location_id: store, event_at: day, quantity: qty}
"""
    company = Company(tmp_path, dated)
    company.write("tills/2024-03-03.csv", FIRST_DAY)
    company.write("tills/2024-03-09.csv", FIRST_DAY.replace(",3,1.50", ",5,1.50"))
    company.land()
    versions = company.rows(
        "SELECT quantity, known_at FROM raw.sales WHERE item_id = 'apple' ORDER BY known_at"
    )
    assert versions == [(3.0, datetime(2024, 3, 3)), (5.0, datetime(2024, 3, 9))]
    assert company.rows("SELECT count(DISTINCT row_key) FROM raw.sales") == [(2,)]


def test_event_later_than_its_delivery_is_quarantined(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  tills: {silo: pos, path: "*.csv", key: [item], known_after: 0 days, delivered_at: "_file::date",
    into: [sales: {item_id: item, location_id: "'north'", event_at: day, quantity: qty}]}
""",
    )
    company.write("2024-03-02.csv", "item,day,qty\napple,2024-03-01,1\npear,2042-03-01,1\n")
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (1, 1)
    assert company.rows("SELECT column_name, rule, value, row_no FROM raw.quarantine") == [
        ("event_at", "is later than its delivery", "2042-03-01", 2)
    ]


def test_counts_add_up_when_rows_are_skipped_shared_bad_and_nobodys(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  lines:
    silo: erp
    path: lines.csv
    identity: row
    known_after: 0 days
    skip: {postage: item = 'POST'}
    into:
      - sales: {when: "qty::int > 0", item_id: item, location_id: store, event_at: day, quantity: qty, unit_price: price}
      - returns: {when: "qty::int < 0", item_id: item, location_id: store, event_at: day, quantity: "-qty::int"}
      - items: {when: "qty::int > 0", item_id: item, known_at: day}
""",
    )
    company.write(
        "lines.csv",
        "item,store,day,qty,price\nPOST,n,2024-01-01,1,1\napple,n,2024-01-01,2,1.5\napple,n,2024-01-01,2,1.5\napple,n,2024-01-02,3,abc\n"
        "apple,n,2024-01-02,-1,\npear,n,2024-01-02,0,1\npear,n,2024-01-02,many,1\npear,,2024-01-03,1,1\n",
    )
    report = company.land()
    counts = report.sources["lines"]
    assert counts["rows_in"] == 8
    assert (
        counts["rows_in"]
        == counts["rows_claimed"] + counts["rows_skipped"] + counts["rows_unclaimed"]
    )
    assert (
        counts["claims"]
        == counts["rows_loaded"] + counts["rows_quarantined"] + counts["rows_repeated"]
    )
    assert (counts["rows_skipped"], counts["rows_unclaimed"]) == (1, 1)
    reasons = company.rows(
        "SELECT table_name, column_name, rule, value FROM raw.quarantine ORDER BY ALL NULLS FIRST"
    )
    assert (None, None, "no rule takes this row", None) in reasons
    assert ("sales", "unit_price", "is no number as declared", "abc") in reasons
    assert ("sales", "location_id", "is missing", None) in reasons
    assert ("sales", "when", "cannot be evaluated", None) in reasons
    assert company.rows("SELECT quantity FROM raw.sales") == [(2.0,)]
    assert company.rows("SELECT quantity FROM raw.returns") == [(1.0,)]


def test_local_times_become_utc_and_a_local_day_its_midnight(tmp_path: Path) -> None:
    company = Company(tmp_path, timezone="Europe/London")
    company.write(
        "tills/1.csv",
        "till,line,item,store,day,qty,price\nT,1,a,n,2024-07-01,1,1\nT,2,a,n,2024-07-01 "
        "10:30:00,1,1\n"
        "T,3,a,n,2024-07-01T10:30:00Z,1,1\nT,4,a,n,2024-01-01,1,1\n",
    )
    company.land(as_of=date(2024, 7, 2))
    times = company.rows("SELECT event_at, known_at FROM raw.sales ORDER BY row_no")
    assert times == [
        (datetime(2024, 6, 30, 23), datetime(2024, 7, 1, 23)),
        (datetime(2024, 7, 1, 9, 30), datetime(2024, 7, 2, 9, 30)),
        (datetime(2024, 7, 1, 10, 30), datetime(2024, 7, 2, 10, 30)),
        (datetime(2024, 1, 1), datetime(2024, 1, 2)),
    ]
    assert company.rows("SELECT now_at FROM raw.world") == [(datetime(2024, 7, 2, 23),)]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", ("lost", 1.0)),
        ("economics: {unmet: backlog}\n", ("backlog", 1.0)),
        ("economics: {unmet: backlog, waiting_share: 0.6}\n", ("backlog", 0.6)),
    ],
)
def test_what_becomes_of_unmet_demand_is_what_the_contract_says(
    tmp_path: Path, said: str, meant: tuple[str, float]
) -> None:
    company = Company(tmp_path, extra=said)
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    assert read_unmet(company.con) == meant
    company.con.execute("alter table raw.world drop column waiting_share")  # of a home of before
    assert read_unmet(company.con) == (meant[0], 1.0)


def test_now_is_the_newest_known_at_and_is_not_moved_by_plans(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  tills: {silo: pos, path: sales.csv, key: [item], known_after: 1 day,
    into: [sales: {item_id: item, location_id: "'n'", event_at: day, quantity: qty}]}
  plans: {silo: sheets, path: plans.csv, key: [name], known_at: told,
    into: [promotions: {name: name, starts_at: starts}]}
""",
    )
    company.write("sales.csv", "item,day,qty\napple,2024-03-01,1\n")
    company.write("plans.csv", "name,told,starts\nspring,2024-05-01,2024-06-01\n")
    assert company.land().now_at == datetime(2024, 3, 2)


def test_same_key_twice_in_one_delivery_with_other_content_is_quarantined_equal_content_repeats(
    company: Company,
) -> None:
    company.write(
        "tills/1.csv",
        FIRST_DAY + "T1,1,apple,north,2024-03-01,4,1.50\nT1,2,pear,north,2024-03-01,2,2.25\n",
    )
    report = company.land()
    counts = report.sources["tills"]
    assert (counts["rows_loaded"], counts["rows_quarantined"], counts["rows_repeated"]) == (1, 2, 1)
    assert company.rows("SELECT DISTINCT rule FROM raw.quarantine") == [
        ("the same key twice in one delivery, with different content",)
    ]


def test_equal_state_keeps_the_earliest_time_it_was_known(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  master: {silo: erp, path: "*.csv", key: [item], known_at: "_file::date", into: [items: {item_id: item, name: name}]}
""",
    )
    company.write("2024-02-01.csv", "item,name\na,Apple\nb,Pear\n")
    assert company.land().new_rows == 2
    company.write("2024-01-01.csv", "item,name\na,Apple\n")
    company.write("2024-03-01.csv", "item,name\na,Apple\nb,Birne\n")
    company.land()
    assert company.rows("SELECT item_id, name, known_at FROM raw.items ORDER BY ALL") == [
        ("a", "Apple", datetime(2024, 1, 1)),
        ("b", "Birne", datetime(2024, 3, 1)),
        ("b", "Pear", datetime(2024, 2, 1)),
    ]


def test_a_state_that_comes_back_is_known_again_whatever_the_order(tmp_path: Path) -> None:
    contract = """
sources:
  master: {silo: erp, path: "*.csv", key: [item], known_at: "_file::date", into: [items: {item_id: item, name: name}]}
"""
    names = {
        "2024-01-01": "Apple",
        "2024-02-01": "Pear",
        "2024-03-01": "Apple",
        "2024-04-01": "Apple",
    }
    expected = [
        ("Apple", datetime(2024, 1, 1)),
        ("Pear", datetime(2024, 2, 1)),
        ("Apple", datetime(2024, 3, 1)),
    ]
    for number, order in enumerate(
        (
            sorted(names),
            sorted(names, reverse=True),
            ["2024-04-01", "2024-01-01", "2024-02-01", "2024-03-01"],
        )
    ):
        company = Company(tmp_path / str(number), contract)
        for day in order:
            company.write(f"{day}.csv", f"item,name\na,{names[day]}\n")
            company.land()
        assert company.rows("SELECT name, known_at FROM raw.items ORDER BY known_at") == expected
        hashes = table_hashes(company.con)
        company.reland()
        assert table_hashes(company.con) == hashes


def test_rebuild_from_the_archive_gives_equal_hashes(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    company.write(
        "tills/2.csv",
        FIRST_DAY.replace("2024-03-01", "2024-03-02").replace("T1", "T2")
        + "T2,3,,north,2024-03-02,1,1\n",
    )
    company.land()
    known = datetime(2024, 3, 5)
    orders = pl.DataFrame(
        {
            "order_id": ["PO-1"],
            "item_id": ["apple"],
            "location_id": ["north"],
            "quantity": [5.0],
            "event_at": [datetime(2024, 3, 4)],
        }
    )
    land_records(
        company.con,
        company.world,
        "ledger",
        {"purchase_orders": orders},
        known_at=known,
        archive=company.archive,
    )
    hashes, quarantine = (
        table_hashes(company.con),
        company.rows("SELECT * FROM raw.quarantine ORDER BY ALL"),
    )
    company.reland()
    assert table_hashes(company.con) == hashes
    assert company.rows("SELECT * FROM raw.quarantine ORDER BY ALL") == quarantine
    assert company.land().new_deliveries == 0


def test_ledger_rows_are_idempotent_by_content_and_count_as_none_of_the_worlds_own(
    company: Company,
) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()

    def hand_over(quantity: float, known_at: datetime) -> int:
        frame = pl.DataFrame(
            {
                "order_id": ["PO-1"],
                "item_id": ["apple"],
                "location_id": ["north"],
                "quantity": [quantity],
                "event_at": [datetime(2024, 3, 4)],
            }
        )
        report = land_records(
            company.con,
            company.world,
            "ledger",
            {"purchase_orders": frame},
            known_at=known_at,
            archive=company.archive,
        )
        assert (report.new_deliveries, report.new_rows) == (0, 0)
        return report.sources.get("ledger", {}).get("rows_loaded", 0)

    assert hand_over(5.0, datetime(2024, 3, 5)) == 1
    assert hand_over(5.0, datetime(2024, 3, 6)) == 0
    assert hand_over(7.0, datetime(2024, 3, 7)) == 1
    assert company.rows(
        "SELECT quantity, known_at, source_id FROM raw.purchase_orders ORDER BY ALL"
    ) == [
        (5.0, datetime(2024, 3, 5), "ledger"),
        (7.0, datetime(2024, 3, 7), "ledger"),
    ]
    assert company.rows("SELECT count(DISTINCT row_key) FROM raw.purchase_orders") == [(1,)]


def test_a_broken_file_leaves_the_deliveries_before_it_and_nothing_of_itself(
    company: Company,
) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    company.write("tills/2.csv", b"")
    with pytest.raises(ContractError, match=r"tills/2\.csv: has no header line"):
        company.land(strict=True)
    assert company.rows("SELECT count(*) FROM raw.sales") == [(2,)]
    assert company.rows("SELECT count(*) FROM raw.manifest") == [(1,)]


def test_a_missing_path_says_which_and_where(company: Company) -> None:
    with pytest.raises(
        ContractError,
        match=r"world\.yml:\d+ sources\.tills\.path: the path `tills/\*\.csv` matches nothing",
    ):
        company.land()


def test_changed_contract_reads_the_archive_anew(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    company.contract(
        (company.data / "world.yml")
        .read_text()
        .removeprefix(company.head)
        .replace("known_after: 1 day", "known_after: 3 days")
    )
    report = company.land()
    assert report.new_deliveries == 0
    assert company.rows("SELECT DISTINCT known_at FROM raw.sales") == [(datetime(2024, 3, 4),)]


def test_a_receiver_hands_over_through_the_inbox(tmp_path: Path) -> None:
    company = Company(
        tmp_path,
        """
sources:
  scans: {silo: wms, stream: {subject: scans}, key: [id], known_at: received_at,
    into: [adjustments: {item_id: sku, location_id: site, delta: change, event_at: at}]}
""",
    )
    inbox = tmp_path / "inbox"
    (inbox / "scans").mkdir(parents=True)
    (inbox / "scans" / "000001.jsonl").write_text(
        '{"id": "m1", "sku": "a", "site": "n", "change": -2, "at": "2024-03-01T10:00:00Z", '
        '"received_at": "2024-03-01T10:00:05Z"}\n'
    )
    report = land(company.con, company.world, company.data, company.archive, inbox=inbox)
    assert report.new_rows == 1
    assert company.rows("SELECT delta, known_at FROM raw.adjustments") == [
        (-2.0, datetime(2024, 3, 1, 10, 0, 5))
    ]


PATHS = """
sources:
  master: {silo: erp, path: items.csv, identity: row, known_at: date '2024-01-01',
    into: [items: {item_id: item, levels: "[division, department]"}]}
"""


def test_two_paths_for_one_item_at_one_time_are_an_error(tmp_path: Path) -> None:
    company = Company(tmp_path, PATHS)
    company.write("items.csv", "item,division,department\na,Food,Fruit\na,Food,Dairy\n")
    with pytest.raises(
        ContractError,
        match=r"items `a` has two paths known at 2024-01-01 00:00:00: Food > Dairy and Food > Fruit",
    ):
        company.land()
    assert company.rows("SELECT count(*) FROM raw.items") == [(0,)]


@pytest.mark.parametrize(
    ("known_at", "is_honest"),
    [("week", False), ("week::date + 6", False), ("week::date + 7", True)],
)
def test_weekly_totals_known_before_the_week_has_ended_are_an_error(
    tmp_path: Path, known_at: str, is_honest: bool
) -> None:
    sources = f"""
sources:
  weeks: {{silo: erp, path: weeks.csv, key: [item, week], known_at: "{known_at}",
    into: [sales: {{item_id: item, location_id: "'n'", event_at: week, quantity: units}}]}}
"""
    company = Company(tmp_path, sources, grain="week", timezone="Europe/Berlin")
    company.write("weeks.csv", "item,week,units\na,2024-03-18,1\na,2024-03-25,2\na,2024-04-01,3\n")
    if is_honest:
        assert company.land().new_rows == 3
    else:
        with pytest.raises(ContractError, match="known before the week has ended"):
            company.land()


def test_dated_lines_in_a_weekly_world_may_be_known_at_once(tmp_path: Path) -> None:
    sources = """
sources:
  lines: {silo: erp, path: lines.csv, identity: row, known_at: day,
    into: [sales: {item_id: item, location_id: "'n'", event_at: day, quantity: units}]}
"""
    company = Company(tmp_path, sources, grain="week")
    company.write(
        "lines.csv",
        "item,day,units\na,2024-03-18,1\na,2024-03-25,2\na,2024-04-01,3\na,2024-04-02,3\n",
    )
    assert company.land().new_rows == 4
