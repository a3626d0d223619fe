"""A file that is handed over again without rows it had: they still count, and a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.landing.company import SALES, Company

HEAD = "till,line,item,store,day,qty,price\n"
TOLD = "handed over before"


def lines(days: list[int]) -> str:
    return HEAD + "".join(f"T1,{day},apple,north,2024-03-{day:02d},3,1.5\n" for day in days)


def doubts(company: Company, days: list[int], name: str = "tills/1.csv") -> list[str]:
    company.write(name, lines(days))
    return [said for said in company.land().doubts if TOLD in said]


@pytest.mark.parametrize("by", ["key: [till, line]", "identity: row"])
def test_a_shorter_corrected_file_is_told_with_its_first_row(tmp_path: Path, by: str) -> None:
    company = Company(tmp_path, SALES.replace("key: [till, line]", by))
    assert doubts(company, [1, 2, 3, 4]) == []
    (said,) = doubts(company, [1, 4])
    assert said.startswith("tills/1.csv lacks 2 rows of sales") and "was row 3)" in said
    assert company.rows("select count(*) from raw.sales") == [(4,)]


@pytest.mark.parametrize(
    ("again", "name"),
    [
        ([1, 2, 3, 4, 5], "tills/1.csv"),  # it has grown
        ([3, 4, 5, 6], "tills/1.csv"),  # the last four days
        ([5, 6], "tills/1.csv"),  # the newest days alone
        ([1, 4], "tills/2.csv"),  # another file
    ],
)
def test_a_file_that_goes_on_is_no_correction(tmp_path: Path, again: list[int], name: str) -> None:
    company = Company(tmp_path)
    doubts(company, [1, 2, 3, 4])
    assert doubts(company, again, name) == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    before=st.sets(st.integers(1, 28), min_size=1, max_size=12),
    after=st.sets(st.integers(1, 28), min_size=1, max_size=12),
)
def test_what_is_told_is_what_lies_between_the_days_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, before: set[int], after: set[int]
) -> None:
    company = Company(tmp_path_factory.mktemp("shop"))
    doubts(company, sorted(before))
    gone = [day for day in before - after if min(after) < day <= max(after)]
    found = doubts(company, sorted(after))
    assert len(found) == bool(gone)
    if gone:
        assert f" lacks {len(gone)} row" in found[0]
