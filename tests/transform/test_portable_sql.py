"""The SQL runs past one machine: words that only DuckDB has stand in `duckdb__` macros, and the raw
tables go to other engines as Parquet. What Spark builds of them: `test_spark.py`."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from warehouses import PROJECT, WORLD, at, days, make_warehouse

from orchestration.facts import raw_files

#: What Spark refuses, or understands as something else.
ONLY_DUCKDB = {
    "exclude": r"\bexclude\s*\(",
    "* replace": r"\*\s*replace\s*\(",
    "asof join": r"\basof\b",
    "by name": r"\bunion (all )?by name\b",
    "arg_max": r"\barg_(max|min)\w*",
    "struct_pack": r"\bstruct_pack\b|\brow\(",
    "list functions": r"\blist_(?!price)\w+|\blist\(|\bunnest\b|\bgenerate_series\b",
    "an element by [n]": r"\w\[-?\d+\]",
    "regexp_matches": r"\bregexp_(matches|full_match|extract)\b",
    "to_days": r"\bto_(days|hours|minutes|seconds|milliseconds|microseconds|months|years)\b",
    "epoch": r"\bepoch(_\w+)?\(|\bmake_timestamp\b|\bstrftime\b|\bstrptime\b",
    "date_diff": r"\bdate_(diff|sub)\s*\(\s*'|\bdatediff\s*\(\s*'|\bisodow\b|\bdayofweek\b",
    "infinity": r"'-?infinity'",
    "ignore nulls inside": r"\bignore nulls\s*\)",
    "a frame on a named window": r"\bover\s*\(\s*(?!partition\b|order\b|rows\b|range\b)[a-z_]+ ",
    "quantile": r"\bquantile_(cont|disc)\b",
    "::": r"::\s*\w",
    "varchar": r"\bvarchar\b",
    "hash": r"(?<!\w)hash\s*\(",
    "distinct on": r"\bdistinct on\b",
    "columns": r"\bcolumns\s*\(",
    "using sample": r"\busing sample\b|\btablesample\b",
    "pivot": r"\b(un)?pivot\b",
}


def _portable(sql: str) -> str:
    """What is left of a file without comments and without the bodies of one engine's macros."""
    sql = re.sub(r"\{#.*?#\}", "", sql, flags=re.DOTALL)
    sql = re.sub(r"\{%-? macro (duckdb|spark)__.*?\{%-? endmacro -?%\}", "", sql, flags=re.DOTALL)
    return re.sub(r"--[^\n]*", "", sql)


def spoken(sql: str) -> list[str]:
    """The words of a file that only DuckDB has."""
    own = _portable(sql)
    return [word for word, said in ONLY_DUCKDB.items() if re.search(said, own, re.IGNORECASE)]


def test_words_that_only_duckdb_has_stand_in_its_macros() -> None:
    files = [*PROJECT.glob("models/**/*.sql"), *PROJECT.glob("macros/*.sql")]
    assert len(files) > 100
    found = {path.name: said for path in files if (said := spoken(path.read_text("utf-8")))}
    assert not found


@pytest.mark.parametrize(
    "sql",
    [
        "select * exclude (a) from b",
        "select b.* replace (1 as a) from b",
        "select arg_max(a, b) from c",
        "select last_value(a ignore nulls) over w from b",
        "select avg(a) over (so_far rows 2 preceding) from b",
        "select a[1], b::text from c",
        "select timestamp 'infinity'",
        "from a union all by name from b",
        "select cast(a as varchar) from b",
    ],
)
def test_a_word_that_only_duckdb_has_is_found(sql: str) -> None:
    assert spoken(sql)
    macro = f"{{% macro duckdb__this(a) -%}} {sql} {{%- endmacro %}}"
    assert not spoken(macro)
    assert spoken(macro.replace("duckdb__", "default__"))


def test_raw_files_keep_an_interval_as_its_microseconds(tmp_path: Path) -> None:
    warehouse = _company(tmp_path)
    assert raw_files.export(warehouse, tmp_path / "raw")["sales"] == 30
    asked = f"select max(known_lag), count(*) from '{tmp_path}/raw/sales/*.parquet'"
    assert duckdb.execute(asked).fetchall() == [(2 * 86_400_000_000, 30)]
    # an export is replaced, and nothing else ever is
    assert raw_files.export(warehouse, tmp_path / "raw")["sales"] == 30
    with pytest.raises(raw_files.RawFilesError, match="holds other things"):
        raw_files.export(warehouse, tmp_path)


def test_a_lag_in_months_is_no_number_of_microseconds(tmp_path: Path) -> None:
    warehouse = _company(tmp_path)
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update raw.sales set known_lag = interval 1 month where row_no = 1")
    with pytest.raises(raw_files.RawFilesError, match=r"sales\.known_lag counts in months"):
        raw_files.export(warehouse, tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def _company(folder: Path) -> Path:
    """A month of one item's sales, one of them corrected, told two days late."""
    sales = [
        {
            "row_key": number % 29,
            "row_hash": number,
            "item_id": "A",
            "location_id": "x",
            "quantity": float(number % 5 + 1),
            "event_at": at("2024-01-01") + days(number % 29),
            "known_at": at("2024-01-01") + days(number % 29 + 2 + number // 29),
            "known_lag": days(2),
        }
        for number in range(30)
    ]
    items = [
        {"item_id": "A", "name": "a saw", "levels": ["tools", "saws"], "known_at": at("2024-01-01")}
    ]
    return make_warehouse(
        folder / "warehouse.duckdb",
        WORLD | {"now_at": at("2024-02-03")},
        {"sales": sales, "items": items},
    )
