"""One odd thing at the door, a file, a message, a cell, is named and set aside, and everything beside
it lands."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import pytest
from openpyxl import Workbook

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.load import landing
from orchestration.landing.readers.drops import is_litter
from tests.landing.company import SALES, Company

HEADER = "item,store,day,qty\n"
GOOD = HEADER + "a,n,2024-03-01,1\n"
ROWS = """
sources:
  tills:
    silo: pos
    path: PATH
    identity: row
    known_after: 1 day
    into: [sales: {item_id: item, location_id: store, event_at: day, quantity: qty}]
"""


def shop(folder: Path, path: str = "tills/*", extra: str = "") -> Company:
    sources = ROWS.replace("PATH", path).replace("    identity", f"{extra}    identity")
    return Company(folder, sources)


def sold(company: Company) -> list[tuple[str, float]]:
    return company.rows("SELECT item_id, quantity FROM raw.sales ORDER BY ALL")


def quarantined(company: Company) -> list[tuple[int, str]]:
    return company.rows("SELECT row_no, rule FROM raw.quarantine ORDER BY ALL")


LITTER = [
    "._1.csv",
    ".DS_Store",
    ".1.csv.swp",
    "1.csv~",
    "1.csv.bak",
    "1.csv.orig",
    ".~lock.1.csv#",
    "#1.csv#",
    "~$1.xlsx",
    "~WRL0001.tmp",
    "1.csv.part",
    "1.csv.crdownload",
    ".nfs0001",
    ".gitkeep",
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN/1.csv",
    "@eaDir/1.csv",
    "__MACOSX/1.csv",
    ".Trashes/1.csv",
    ".git/1.csv",
    "lost+found/1.csv",
    "1.csv.md5",
    "1.csv.sha256",
    "1.csv.lock",
    "1.csv:Zone.Identifier",
]


@pytest.mark.parametrize("name", LITTER)
def test_what_programs_leave_beside_files_is_litter_and_a_name_that_is_asked_for_is_none(
    name: str,
) -> None:
    assert is_litter(f"tills/{name}", "tills/**/*")
    assert not is_litter(f"tills/{name}", f"tills/{name}")
    assert not is_litter("tills/2024 (copy).csv", "tills/*")


def test_litter_is_named_and_the_rest_lands(tmp_path: Path) -> None:
    company = shop(tmp_path, "tills/**/*")
    for name in ("1.csv.bak", "@eaDir/1.csv", ".sync.csv"):
        company.write(f"tills/{name}", "\0litter")
    company.write("tills/1.csv", GOOD)
    report = company.land()
    assert (report.new_rows, report.quarantined_rows, len(report.passed_over)) == (1, 0, 3)


JSON_ODDITIES = {
    "": (0, 0),
    "[]\n": (0, 0),
    "no json\n": (0, 1),
    "{}\n": (0, 1),
    "[1, 2]\n": (0, 2),
    "null\n": (0, 1),
    '{"item": "b", "store": "n", "day": "2024-03-02"}\n': (0, 1),
    '{"another": 1}\n': (0, 1),
    '{"item": "\\ud800", "store": "n", "day": "2024-03-02", "qty": 1}\n': (0, 1),
    '{"item": "a\\u0000", "store": "n", "day": "2024-03-02", "qty": 1}\n': (0, 1),
    '{"item": "b", "store": "n", "day": "2024-03-02", "qty": 1}\n[1]\n{bad\n': (1, 2),
}


@pytest.mark.parametrize("body", JSON_ODDITIES)
@pytest.mark.parametrize("place", ["0", "2"])
def test_one_odd_document_among_good_ones_loses_only_itself(
    body: str, place: str, tmp_path: Path
) -> None:
    good = {"item": "a", "store": "n", "day": "2024-03-01", "qty": 1}
    company = shop(tmp_path)
    for name in ("1", "3"):
        company.write(f"tills/{name}.jsonl", json.dumps(good | {"item": f"a{name}"}) + "\n")
    if place == "2":
        company.land()
    company.write(f"tills/{place}.jsonl", body)
    company.write("tills/4.jsonl", json.dumps(good | {"item": "z"}) + "\n")
    company.land()
    rows, aside = JSON_ODDITIES[body]
    assert len(sold(company)) == 3 + rows
    assert len(quarantined(company)) == aside
    before = (sold(company), quarantined(company))
    company.reland()
    assert (sold(company), quarantined(company)) == before


@pytest.mark.parametrize("body", ["<html><body>sign in</body></html>\n", "%PDF-1.4\n1 0 obj\n"])
def test_another_file_altogether_is_set_aside_and_strict_stops(body: str, tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD)
    company.write("tills/2.csv", body)
    report = company.land()
    assert sold(company) == [("a", 1)]
    assert "another file" in report.set_aside[0]
    company.write("tills/3.csv", body.replace("1", "2") + "x\n")
    with pytest.raises(ContractError, match="columns changed"):
        company.land(strict=True)


def test_a_file_that_could_not_be_read_is_read_when_the_contract_is_mended(tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD.encode("utf-16"))
    assert company.land().quarantined_rows == 1
    assert "utf-16" in quarantined(company)[0][1]
    company.contract(
        ROWS.replace("PATH", "tills/*").replace(
            "    identity", "    format: {csv: {encoding: utf-16}}\n    identity"
        )
    )
    company.land()
    assert sold(company) == [("a", 1)]


ODD_DAYS = ["9999-12-31", "294247-01-10", "infinity", "-infinity", "0000-00-00", "2023-02-29"]


@pytest.mark.parametrize("day", ODD_DAYS)
def test_one_impossible_day_is_one_row_of_the_quarantine(day: str, tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD + f"b,n,{day},1\n")
    company.land()
    assert sold(company) == [("a", 1)]
    assert [row for row, _ in quarantined(company)] == [2]
    assert company.rows("SELECT now_at::date::varchar FROM raw.world") == [("2024-03-02",)]


@pytest.mark.parametrize(
    ("form", "real", "unreal"),
    [
        ("%G-W%V-%u", "2020-W53-1", "2021-W53-1"),
        ("%Y-W%W-%w", "2021-W05-1", "2021-W53-1"),
        ("%Y%j", "2020366", "2021366"),
        ("%d.%m.%Y", "29.02.2024", "29.02.2023"),
    ],
)
def test_a_day_that_is_not_in_its_year_is_not_the_next_years(
    form: str, real: str, unreal: str, tmp_path: Path
) -> None:
    company = shop(tmp_path, extra=f"    dates: '{form}'\n")
    company.write("tills/1.csv", HEADER + f"a,n,{real},1\nb,n,{unreal},1\n")
    company.land()
    assert sold(company) == [("a", 1)]
    assert [row for row, _ in quarantined(company)] == [2]


def test_days_that_two_declared_formats_read_apart_are_told_with_their_rows(tmp_path: Path) -> None:
    company = shop(tmp_path, extra="    dates: ['%d/%m/%Y', '%m/%d/%Y']\n")
    days = ("13/02/2024", "02/13/2024", "02/03/2024")
    company.write("tills/1.csv", HEADER + "".join(f"a{day},n,{day},1\n" for day in days))
    (said,) = company.land().doubts
    assert "`02/03/2024`" in said and "rows 3" in said


FAILED = "#N/A #NV #N/D #REF! #BEZUG! #VALUE! #WERT! #DIV/0! #NAME? #NOM? #NUM! #BUSY! Err:502"


@pytest.mark.parametrize("cell", [*FAILED.split(), "#n/a", " #N/A "])
def test_a_failed_formula_is_no_id_in_whatever_language(cell: str, tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD + f"{cell},n,2024-03-01,1\n#12,n,2024-03-01,1\n")
    company.land()
    assert sold(company) == [("#12", 1), ("a", 1)]


LOOK_ALIKE = ["A 1", " A 1", "A 1\t", "A\u00a01", "A\u202f1", "A 1\u200b", "\ufeffA 1", "A\u30001"]


def test_ids_that_look_alike_are_one_and_those_of_nothing_but_blanks_are_none(
    tmp_path: Path,
) -> None:
    company = shop(tmp_path)
    lines = [f'"{name}",n,2024-03-01,{i + 1}' for i, name in enumerate(LOOK_ALIKE)]
    lines += ['"\u00a0",n,2024-03-01,1', '"Mu\u0308ller",n,2024-03-01,1']
    company.write("tills/1.csv", HEADER + "\n".join(lines) + "\n")
    company.land()
    assert {name for name, _ in sold(company)} == {"A 1", "M\u00fcller"}
    assert len(sold(company)) == len(LOOK_ALIKE) + 1
    assert quarantined(company) == [(len(LOOK_ALIKE) + 1, "is missing")]


def test_a_corrected_row_replaces_the_one_that_was_written_with_a_blank(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES)
    header = "till,line,item,store,day,qty,price\n"
    company.write("tills/1.csv", header + "T1,1 ,apple,n,2024-03-01,3,1.5\n")
    company.land()
    company.write("tills/2.csv", header + "T1,1,apple,n,2024-03-01,4,1.5\n")
    company.land()
    assert company.rows("SELECT count(DISTINCT row_key) FROM raw.sales") == [(1,)]


def test_a_nul_in_a_cell_spoils_its_row_alone(tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", HEADER + "a\0b,n,2024-03-01,1\na,n,2024-03-02,1\n")
    company.land()
    assert sold(company) == [("a", 1)]
    assert quarantined(company) == [(1, "holds a NUL")]


def test_a_name_of_any_bytes_lands(tmp_path: Path) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD)
    with open(os.fsencode(company.data / "tills") + b"/\xff\xfe.csv", "w") as file:
        file.write(HEADER + "b,n,2024-03-01,1\n")
    company.land()
    assert sold(company) == [("a", 1), ("b", 1)]


def test_an_archive_without_what_is_asked_for_is_told(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("readme.txt", "x")
    company = shop(tmp_path, "tills/*.zip!*.csv")
    company.write("tills/2.zip", packed.getvalue())
    with zipfile.ZipFile(company.write("tills/1.zip", b""), "w") as archive:
        archive.writestr("1.csv", GOOD)
    report = company.land()
    assert sold(company) == [("a", 1)]
    assert "has no member" in report.passed_over[0]


def test_a_link_put_in_the_place_of_a_file_after_it_was_looked_at_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = shop(tmp_path)
    company.write("tills/1.csv", GOOD)
    swapped = company.write("tills/2.csv", GOOD.replace("a", "b"))
    secret = tmp_path / "secret.csv"
    secret.write_text(HEADER + "SECRET,n,2024-03-01,1\n", encoding="utf-8")
    discover = landing.discover

    def swap(*given: object) -> object:
        found = discover(*given)  # type: ignore[arg-type]
        swapped.unlink()
        swapped.symlink_to(secret)
        return found

    monkeypatch.setattr(landing, "discover", swap)
    report = company.land()
    assert sold(company) == [("a", 1)]
    assert any("2.csv" in said for said in report.passed_over)


def test_what_a_sheet_hides_is_read_and_told(tmp_path: Path) -> None:
    """A filter that was left on hides rows from who hands the sheet over, and from nobody else."""
    book = Workbook()
    sheet = book.active
    for row in (["item", "store", "day", "qty", "note"], *(["a", "n", "2024-03-01", 1, "x"],) * 4):
        sheet.append(row)
    for number in (3, 4):
        sheet.row_dimensions[number].hidden = True
        sheet.cell(number, 4).value = number
    sheet.column_dimensions["E"].hidden = True
    company, packed = shop(tmp_path, "tills/*.xlsx"), io.BytesIO()
    book.save(packed)
    company.write("tills/1.xlsx", packed.getvalue())
    rows, columns, equal = company.land().doubts
    assert "equal rows of sales in tills/1.xlsx count once, 1 left out" in equal
    assert "2 rows are hidden (3, 4) and read like the others" in rows
    assert "1 column is hidden: note" in columns
    assert [units for _, units in sold(company)] == [1.0, 3.0, 4.0]


def test_what_many_files_say_alike_is_said_once(tmp_path: Path) -> None:
    company = shop(tmp_path, "tills/*.csv")
    for day in range(1, 6):
        row = f"a,n,2024-03-0{day},{day}\n"
        company.write(f"tills/{day}.csv", "item,store,day,qty\n" + row * (day + 1))
    (said,) = company.land().doubts
    assert said.startswith("equal rows of sales in tills/1.csv count once, 1 left out")
    assert said.endswith("(4 more files of tills alike)")
    for name in ("6", "7"):
        company.write(f"tills/{name}.csv", f"item,store,day,qty\na,n,2024-03-0{name},1\n" * 2)
    assert len(company.land().doubts) == 2, "each of two"
