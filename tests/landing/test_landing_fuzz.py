"""Any bytes under any name, and any text as an expression: landing loads, quarantines or refuses
with one message; it never crashes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.landing import ContractError, World
from orchestration.landing.contract.expressions import check_row_local, parse, parser
from tests.landing.company import FIRST_DAY, HEAD, SALES, Company

BUDGET = settings(max_examples=25, deadline=None, derandomize=True)
CELLS = st.sampled_from(
    [
        "",
        '"',
        "a",
        "1",
        "-1",
        "1e400",
        "2024-01-01",
        "x\ny",
        "\x00",
        "é",
        "'",
        "NaN",
        " ",
        ",",
        '""',
        "99999999999999999999",
    ]
)
TABLE = st.lists(st.lists(CELLS, min_size=1, max_size=9).map(",".join), max_size=8).map("\n".join)
EDITS = st.lists(
    st.tuples(st.integers(0, len(FIRST_DAY)), st.binary(max_size=4)), min_size=1, max_size=4
)


@contextmanager
def fresh(sources: str = SALES) -> Iterator[Company]:
    folder = Path(tempfile.mkdtemp(prefix="stockhouse-fuzz-"))
    company = Company(folder, sources)
    try:
        yield company
    finally:
        company.con.close()
        shutil.rmtree(folder)


def land_or_refuse(company: Company) -> None:
    """Either the counts add up or nothing was loaded."""
    try:
        counts = company.land().sources["tills"]
    except ContractError as error:
        assert str(error)
        assert company.rows("SELECT count(*) FROM raw.manifest") == [(0,)]
        return
    assert (
        counts["rows_in"]
        == counts["rows_claimed"] + counts["rows_skipped"] + counts["rows_unclaimed"]
    )
    assert (
        counts["claims"]
        == counts["rows_loaded"] + counts["rows_quarantined"] + counts["rows_repeated"]
    )
    assert company.rows("SELECT count(*) FROM raw.sales") == [(counts["rows_loaded"],)]


@BUDGET
@given(TABLE)
def test_any_table_of_nasty_cells(table: str) -> None:
    with fresh() as company:
        company.write("tills/1.csv", "till,line,item,store,day,qty,price\n" + table)
        land_or_refuse(company)


@BUDGET
@given(EDITS)
def test_any_damage_to_a_good_file(edits: list[tuple[int, bytes]]) -> None:
    raw = FIRST_DAY.encode()
    for place, piece in edits:
        raw = raw[:place] + piece + raw[place + len(piece) :]
    with fresh() as company:
        company.write("tills/1.csv", raw)
        land_or_refuse(company)


@BUDGET
@given(
    st.binary(max_size=300),
    st.sampled_from(["1.json", "1.jsonl", "1.parquet", "1.zip", "1.csv.gz", "1.tar"]),
)
def test_any_bytes_under_any_name(raw: bytes, name: str) -> None:
    with fresh(SALES.replace("tills/*.csv", name)) as company:
        company.write(name, raw)
        land_or_refuse(company)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet="aqty()'\",*+-|:[]{}; \n->x1=$?@select from", max_size=40))
def test_any_text_as_an_expression_is_judged_and_never_run(text: str) -> None:
    with parser() as con:
        try:
            check_row_local(parse(con, text), {})
        except ContractError as error:
            assert str(error)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=60), st.integers(0, 300))
def test_any_damage_to_a_contract_is_one_message(piece: str, place: int) -> None:
    text = HEAD.format(timezone="UTC", grain="day") + SALES
    folder = Path(tempfile.mkdtemp(prefix="stockhouse-fuzz-"))
    try:
        (folder / "world.yml").write_text(
            text[:place] + piece + text[place:], encoding="utf-8", errors="replace"
        )
        try:
            World.load(folder)
        except ContractError as error:
            assert str(error)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "1" + "+1" * 9000,
        "not " * 5000 + "true",
        "[" * 3000 + "]" * 3000,
    ],
)
def test_a_deep_expression_is_refused_or_judged(text: str) -> None:
    with parser() as con:
        try:
            check_row_local(parse(con, text), {})
        except ContractError as error:
            assert str(error)
