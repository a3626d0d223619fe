"""Added, dropped, renamed, reordered and retyped columns each do what the contract says, and the
report says which."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from orchestration.landing import ContractError
from tests.landing.company import FIRST_DAY, SALES, Company

NEXT = "T2,1,apple,north,2024-03-02,4,1.75"


def company_with(tmp_path: Path, drift: str | None) -> Company:
    company = Company(
        tmp_path, SALES.replace("    into:", f"    drift: {drift}\n    into:") if drift else SALES
    )
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    return company


def test_a_new_unread_column_and_another_order_are_reported_and_loaded(tmp_path: Path) -> None:
    company = company_with(tmp_path, None)
    company.write(
        "tills/2.csv",
        "line,till,item,store,day,qty,price,colour\n1,T2,apple,north,2024-03-02,4,1.75,red\n",
    )
    report = company.land()
    assert report.new_rows == 1
    assert report.drift == ["tills/2.csv: added colour; reordered"]
    kept = company.rows("SELECT drift FROM raw.manifest ORDER BY landed_seq")
    assert kept == [(None,), ("added colour; reordered",)]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("till,line,item,store,day,qty", "dropped price"),
        ("till,line,item,store,day,qty,amount", "renamed price to amount"),
    ],
)
def test_stop_refuses_a_changed_column_that_the_contract_reads(
    tmp_path: Path, header: str, said: str
) -> None:
    company = company_with(tmp_path, "stop")
    row = NEXT if header.count(",") == 6 else NEXT.rpartition(",")[0]
    company.write("tills/2.csv", f"{header}\n{row}\n")
    with pytest.raises(ContractError, match=f"its columns changed: {said}"):
        company.land()
    assert company.rows("SELECT count(*) FROM raw.manifest") == [(1,)]


def test_evolve_reads_a_dropped_column_as_empty(tmp_path: Path) -> None:
    company = company_with(tmp_path, "evolve")
    company.write("tills/2.csv", "till,line,item,store,day,qty\nT2,1,apple,north,2024-03-02,4\n")
    report = company.land()
    assert report.drift == ["tills/2.csv: dropped price"]
    assert company.rows("SELECT quantity, unit_price FROM raw.sales WHERE quantity = 4") == [
        (4.0, None)
    ]


def test_quarantine_keeps_the_whole_delivery_out_with_the_reason(tmp_path: Path) -> None:
    company = company_with(tmp_path, "quarantine")
    company.write(
        "tills/2.csv",
        "till,line,item,store,day,qty\nT2,1,apple,north,2024-03-02,4\nT2,2,apple,north,2024-03-02,4\n",
    )
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (0, 2)
    assert company.rows("SELECT DISTINCT rule FROM raw.quarantine") == [
        ("its columns changed: dropped price",)
    ]


def test_a_retyped_parquet_column_stops_or_is_cast(tmp_path: Path) -> None:
    rows = {
        "till": ["T1"],
        "line": [1],
        "item": ["a"],
        "store": ["n"],
        "day": ["2024-03-01"],
        "qty": [3],
        "price": [1.5],
    }
    for drift, lands in (("stop", False), ("evolve", True)):
        company = Company(
            tmp_path / drift,
            SALES.replace("*.csv", "*.parquet").replace(
                "    into:", f"    drift: {drift}\n    into:"
            ),
        )
        (company.data / "tills").mkdir()
        pl.DataFrame(rows).write_parquet(company.data / "tills" / "1.parquet")
        company.land()
        pl.DataFrame({**rows, "till": ["T2"], "qty": ["7"]}).write_parquet(
            company.data / "tills" / "2.parquet"
        )
        if lands:
            assert company.land().drift == ["tills/2.parquet: retyped qty (BIGINT to VARCHAR)"]
            assert company.rows("SELECT sum(quantity) FROM raw.sales") == [(10.0,)]
        else:
            with pytest.raises(ContractError, match=r"retyped qty \(BIGINT to VARCHAR\)"):
                company.land()


def test_a_new_period_in_a_wide_sheet_is_data_and_not_drift(tmp_path: Path) -> None:
    wide = """
sources:
  weeks: {silo: erp, path: weeks/*.csv, key: [store, item, week], known_after: 7 days,
    unpivot: {keep: [store, item], name: week, value: units},
    into: [sales: {item_id: item, location_id: store, event_at: week, quantity: units}]}
"""
    company = Company(tmp_path, wide, grain="week")
    company.write("weeks/1.csv", "store,item,2024-01-01\nn,a,3\n")
    company.land()
    company.write("weeks/2.csv", "store,item,2024-01-01,2024-01-08\nn,a,3,4\n")
    report = company.land()
    assert (report.new_rows, report.sources["weeks"]["rows_repeated"]) == (1, 1)
