"""What a table holds, said in one number."""

from __future__ import annotations

import duckdb
import pytest

from orchestration.home.sql import quote, table_hash


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
