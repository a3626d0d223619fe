"""A small file that would become a large table is one clear error, whatever way it is small."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import duckdb
import pytest

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import check_growth, parse, parser
from orchestration.landing.readers.json_document import json_table
from tests.landing.company import SALES, Company

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/"


def one_text_in_many_cells(path: Path, letters: int, cells: int) -> None:
    """A workbook whose cells all say the same long text, which its file holds once."""
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>1</v></c></row>' for n in range(2, cells))
    head = '<row r="1"><c r="A1" t="s"><v>0</v></c></row>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}content-types"/>',
        "_rels/.rels": (
            f'<Relationships xmlns="{PACKAGE}relationships"><Relationship Id="r1" '
            f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
            '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{PACKAGE}relationships"><Relationship Id="r1" '
            f'Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" '
            f'Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
        ),
        "xl/sharedStrings.xml": (
            f'<sst xmlns="{MAIN}"><si><t>item</t></si><si><t>{"x" * letters}</t></si></sst>'
        ),
        "xl/worksheets/sheet1.xml": (
            f'<worksheet xmlns="{MAIN}"><sheetData>{head}{rows}</sheetData></worksheet>'
        ),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, text in parts.items():
            book.writestr(name, text)


@pytest.mark.parametrize(
    ("letters", "cells"), [(1_000_000, 100), (1_000_000, 400), (30_000, 3_000)]
)
def test_one_long_text_in_many_cells_of_a_workbook_is_refused(
    tmp_path: Path, letters: int, cells: int
) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills/*.xlsx"))
    (company.data / "tills").mkdir()
    one_text_in_many_cells(company.data / "tills" / "1.xlsx", letters, cells)
    company.land()
    ((reason,),) = company.rows("SELECT rule FROM raw.quarantine")
    assert "cannot be read" in reason


def test_json_lines_of_ever_new_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    path.write_text("\n".join(json.dumps({f"k{n}": 1}) for n in range(4_500)))
    with pytest.raises(ContractError, match="different keys"):
        json_table(path, None, [""], path.name)


def test_few_keys_in_a_table_mostly_empty_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.jsonl"
    path.write_text(json.dumps({f"k{n}": 1 for n in range(3_900)}) + '\n{"k0": 1}' * 20_000)
    with pytest.raises(ContractError, match="different keys"):
        json_table(path, None, [""], path.name)


def test_a_parquet_file_of_millions_of_equal_rows_in_a_few_bytes_is_refused(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills/*.parquet"))
    (company.data / "tills").mkdir()
    columns = "'T' till, 1 line, 'a' item, 'n' store, date '2024-03-01' \"day\", 1 qty, 1 price"
    duckdb.sql(f"SELECT {columns} FROM range(3000000)").write_parquet(
        str(company.data / "tills" / "1.parquet"), compression="zstd"
    )
    company.land()
    ((reason,),) = company.rows("SELECT rule FROM raw.quarantine")
    assert "3,000,000 rows" in reason


@pytest.mark.parametrize(
    "text",
    [
        "repeat(item, 1500000000)",
        "repeat(repeat(item, 1000), 1000)",
        "repeat(item, qty::bigint)",
        "lpad(item, 2000000000, 'x')",
        "rpad('x', 1000 * 1000 * 1000, 'x')",
        "list_resize([item], 1000000000)",
        "bar(1, 0, 1, 1000000000)",
        "printf('%1500000000d', 1)",
        "format(item, 1)",
        "replace(replace(replace(item, 'a', item), 'a', item), 'a', item)",
        "concat(" + ", ".join(["repeat(item, 5000)"] * 3) + ")",
    ],
)
def test_an_expression_that_makes_much_of_little_is_refused(text: str) -> None:
    with parser() as con, pytest.raises(ContractError):
        check_growth(parse(con, text))


@pytest.mark.parametrize(
    "text",
    [
        "lpad(item, 8, '0')",
        "repeat('0', 3) || item",
        "replace(replace(qty, '.', ''), ',', '.')",
        "regexp_replace(item, '^0+', '')",
        "printf('%05d', line::int)",
        "format('{:08d}', line::int)",
    ],
)
def test_what_contracts_do_say_is_no_growth(text: str) -> None:
    with parser() as con:
        check_growth(parse(con, text))
