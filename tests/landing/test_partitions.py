"""Folders as partitions: what `year=2024/month=02` says of its files can be named like a column."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from orchestration.landing.readers.drops import partitions
from tests.landing.company import Company

SOURCES = """
sources:
  tills:
    silo: pos
    path: tills/**/*
    identity: row
    known_after: 1 day
    into:
      - sales:
          item_id: item
          location_id: store
          event_at: make_date(year::int, month::int, d::int)
          quantity: qty
"""


def sold(company: Company) -> list[tuple[str, str, str, float]]:
    return company.rows(
        "SELECT item_id, location_id, event_at::date::varchar, quantity FROM raw.sales ORDER BY ALL"
    )


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_folders_say_what_their_files_leave_out(kind: str, tmp_path: Path) -> None:
    company = Company(tmp_path, SOURCES)
    frame = pl.DataFrame({"item": ["a"], "d": ["1"], "qty": ["2"]})
    for month in ("01", "02"):  # the same bytes of two months are two deliveries
        file = company.write(f"tills/year=2024/month={month}/store=N%20S/1.{kind}", b"")
        if kind == "csv":
            frame.write_csv(file)
        elif kind == "parquet":
            frame.write_parquet(file)
        else:
            frame.write_ndjson(file)
    company.land()
    expected = [("a", "N S", "2024-01-01", 2.0), ("a", "N S", "2024-02-01", 2.0)]
    assert sold(company) == expected
    assert company.land().new_deliveries == 0
    company.reland()
    assert sold(company) == expected


def test_a_column_of_the_file_goes_before_its_folder(tmp_path: Path) -> None:
    company = Company(tmp_path, SOURCES)
    company.write("tills/year=2024/month=1/store=x/1.csv", "item,store,d,qty\na,own,1,2\n")
    company.land()
    assert sold(company) == [("a", "own", "2024-01-01", 2.0)]


def test_a_partition_of_nothing_is_null_and_its_rows_are_set_aside(tmp_path: Path) -> None:
    company = Company(tmp_path, SOURCES)
    for store in ("__HIVE_DEFAULT_PARTITION__", "n"):
        company.write(f"tills/year=2024/month=1/store={store}/1.csv", "item,d,qty\na,1,2\n")
    company.land()
    assert sold(company) == [("a", "n", "2024-01-01", 2.0)]
    assert company.rows("SELECT column_name, rule FROM raw.quarantine") == [
        ("location_id", "is missing")
    ]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("year=2024/m=2/x.csv", {"year": "2024", "m": "2"}),
        ("a.zip!year=2024/x.csv", {"year": "2024"}),
        ("plain/x=1.csv", {}),
        ("=1/x.csv", {}),
        ("a=b=c/x.csv", {"a": "b=c"}),
    ],
)
def test_only_folders_are_partitions(path: str, said: dict[str, str]) -> None:
    assert partitions(path) == said
