"""What a table holds, said in one number, and what in it stands more than once."""

from __future__ import annotations

from collections import Counter

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.home.sql import quote, repeated, table_hash


@pytest.mark.parametrize("name", ["line", "lines", "row", "columns", "one more"])
def test_a_table_s_number_follows_from_every_column_whatever_they_are_called(name: str) -> None:
    with duckdb.connect() as con:
        con.execute(f"create table lines ({quote(name)} varchar, amount integer)")
        con.execute("insert into lines values ('a', 1), ('b', 2)")
        before = table_hash(con, "lines")
        con.execute("update lines set amount = 3 where amount = 2")
        assert table_hash(con, "lines") != before
        con.execute("update lines set amount = 2 where amount = 3")
        assert table_hash(con, "lines") == before
        assert table_hash(con, "lines", [name]) != before


@given(st.lists(st.none() | st.integers(0, 9), max_size=30), st.integers(1, 9))
def test_what_stands_more_than_once_is_named_once(values: list[int | None], least: int) -> None:
    with duckdb.connect() as con:
        con.execute("create table lines (key integer)")
        con.executemany("insert into lines values (?)", [(value,) for value in [*values, None]])
        found = con.execute(repeated("key", f"lines where key >= {least}")).fetchall()
    counted = Counter(value for value in values if value is not None and value >= least)
    assert sorted(found) == sorted((value,) for value, times in counted.items() if times > 1)
