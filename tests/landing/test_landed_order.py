"""Corrections without a time of their own: what is handed over later counts, whatever its content,
also when it goes back to what was said first, and a rebuild comes to the same."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.landing.company import Company

SOURCES = """
sources:
  terms:
    silo: sheets
    path: terms/*.csv
    optional: true
    key: [item]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: item, supplier_id: "'S1'", unit_cost: value}]
  tills:
    silo: pos
    path: tills/*.csv
    optional: true
    key: [item]
    known_after: 1 day
    into: [sales: {item_id: item, location_id: "'north'", event_at: "date '2024-03-01'", quantity: value}]
  master:
    silo: erp
    path: master/*.csv
    optional: true
    key: [item]
    known_at: day
    into: [items: {item_id: item, unit_cost: value}]
"""
#: The table that each source feeds, and the column that is corrected.
FED = {
    "terms": ("supplier_terms", "unit_cost"),
    "tills": ("sales", "quantity"),
    "master": ("items", "unit_cost"),
}
#: As dbt orders the versions of one key.
NEWEST = """
    select {column} from raw.{table} where item_id = '{item}'
    order by known_at desc, handed_over_at desc nulls last, row_hash desc limit 1
"""


def newest(company: Company, source: str, item: str = "a") -> float:
    table, column = FED[source]
    [(value,)] = company.rows(NEWEST.format(table=table, column=column, item=item))
    return float(value)


def hand_over(company: Company, source: str, number: int, values: dict[str, int]) -> None:
    rows = "".join(f"{item},{value},2024-02-01\n" for item, value in values.items())
    # the number keeps files apart that say the same
    company.write(f"{source}/{number:03}.csv", f"item,value,day\n{rows}other,{number},2024-02-01\n")


@pytest.mark.parametrize("source", FED)
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    said=st.lists(st.integers(1, 3), min_size=1, max_size=7),
    together=st.lists(st.booleans(), min_size=7, max_size=7),
)
def test_what_is_handed_over_last_counts(
    tmp_path_factory: pytest.TempPathFactory, source: str, said: list[int], together: list[bool]
) -> None:
    company = Company(tmp_path_factory.mktemp("company"), SOURCES)
    for number, value in enumerate(said):
        hand_over(company, source, number, {"a": value, "b": 9})
        if not together[number] or number == len(said) - 1:
            report = company.land()
            assert newest(company, source) == value
    assert newest(company, source, "b") == 9
    table, _ = FED[source]
    changes = 1 + sum(a != b for a, b in pairwise(said))
    assert company.rows(f"select count(*) from raw.{table} where item_id = 'a'") == [(changes,)]
    assert report.quarantined_rows == 0
    before = company.business()
    company.reland()
    assert company.business() == before
    assert company.land().new_rows == 0


def test_a_manifest_says_no_time_of_handing_over_that_nobody_told(tmp_path: Path) -> None:
    company = Company(tmp_path, SOURCES)
    for number, value in enumerate((1, 2, 1)):
        hand_over(company, "terms", number, {"a": value})
        company.land()
    assert company.rows("select distinct handed_over_at from raw.manifest") == [(None,)]
