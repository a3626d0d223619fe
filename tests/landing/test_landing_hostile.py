"""Hostile input: one clear error or one quarantined row each, never a crash, never a partial load,
never a long wait."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import time
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from orchestration.landing import ContractError, World
from tests.landing.company import FIRST_DAY, HEAD, SALES, Company

HEADER = "till,line,item,store,day,qty,price\n"
GOOD = "T9,9,good,north,2024-03-01,1,1\n"


def refused(company: Company, said: str) -> None:
    """Landing stops with one message and nothing is half-loaded."""
    with pytest.raises(ContractError, match=said):
        company.land(strict=True)
    assert company.rows("SELECT count(*) FROM raw.sales") == [(0,)]
    assert company.rows("SELECT count(*) FROM raw.manifest") == [(0,)]


def bomb(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, b"0" * (300 << 20))
    return packed.getvalue()


@pytest.fixture(scope="module")
def zip_bomb() -> bytes:
    return bomb("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("name", "pattern"), [("bomb.zip", "bomb.zip!**/*.xml"), ("bomb.xlsx", "bomb.xlsx")]
)
def test_archive_bombs_are_refused_before_they_are_inflated(
    tmp_path: Path, zip_bomb: bytes, name: str, pattern: str
) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", pattern))
    company.write(name, zip_bomb)
    begun = time.process_time()
    refused(company, "would inflate from")
    assert time.process_time() - begun < 1.0


def test_a_gzip_bomb_is_stopped_while_it_inflates(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "drops/*.csv.gz"))
    company.write("drops/bomb.csv.gz", gzip.compress(b"0" * (64 << 20)))
    refused(company, "inflates to more than")


@pytest.mark.parametrize("member", ["../../etc/cron.csv", "/etc/passwd.csv"])
def test_members_that_leave_their_archive_are_refused(tmp_path: Path, member: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(member)
        archive.addfile(info, io.BytesIO(b""))
    company = Company(tmp_path, SALES.replace("tills/*.csv", "drops.tar"))
    company.write("drops.tar", packed.getvalue())
    refused(company, "leaves the archive")


def test_links_and_devices_inside_an_archive_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo("1.csv")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    company = Company(tmp_path, SALES.replace("tills/*.csv", "drops.tar"))
    company.write("drops.tar", packed.getvalue())
    refused(company, "is no plain file")


def test_a_link_out_of_the_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(FIRST_DAY)
    for name in ("link", "pipe"):
        company = Company(tmp_path / name)
        (company.data / "tills").mkdir()
        target = company.data / "tills" / "1.csv"
        if name == "link":
            target.symlink_to(tmp_path / "secret.csv")
            refused(company, "is a link out of the data folder")
        else:
            os.mkfifo(target)
            refused(company, "is no plain file")


ROWS = {
    "a missing cell": ("T1,1,apple,north,2024-03-01,1\n", "has 6 cells where the header has 7"),
    "a cell too many": (
        "T1,1,apple,north,2024-03-01,1,1,1\n",
        "has 8 cells where the header has 7",
    ),
    "a field of 10 MB": (
        f"T1,1,{'x' * 10_000_000},north,2024-03-01,1,1\n",
        "is no row of this file",
    ),
    "not a number": ("T1,1,apple,north,2024-03-01,NaN,1\n", "is no finite number"),
    "infinite": ("T1,1,apple,north,2024-03-01,inf,1\n", "is no finite number"),
    "beyond any trade": ("T1,1,apple,north,2024-03-01,1e16,1\n", "is too large to be meant"),
    "a sum at the end": ("T1,1, Grand Total: ,north,2024-03-01,9,1\n", "is a word for a sum"),
    "beyond any float": ("T1,1,apple,north,2024-03-01,1e400,1\n", "is no finite number"),
    "negative": ("T1,1,apple,north,2024-03-01,-5,1\n", "is negative: what came back is of"),
    "a spreadsheet's day": ("T1,1,apple,north,45658.5,5,1\n", "is a spreadsheet's number of a day"),
    "no spreadsheet's day": ("T1,1,apple,north,99999,5,1\n", "is no time as declared"),
    "an underscore number": ("T1,1,apple,north,2024-03-01,1_000,1\n", "is no number as declared"),
    "never": ("T1,1,apple,north,infinity,1,1\n", "is no finite time"),
    "no date": ("T1,1,apple,north,2024-02-30,1,1\n", "is no time as declared"),
    "a formula": ("T1,1,apple,north,2024-03-01,=1+1,1\n", "is no number as declared"),
    "no key": (",1,apple,north,2024-03-01,1,1\n", "a key column is empty"),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_bad_row_is_quarantined_and_its_neighbours_land(company: Company, case: str) -> None:
    bad, said = ROWS[case]
    company.write("tills/1.csv", HEADER + GOOD + bad + GOOD.replace("T9", "T8"))
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (2, 1)
    ((rule, row_no),) = company.rows("SELECT rule, row_no FROM raw.quarantine")
    assert rule.startswith(said)
    assert row_no == 2


def test_invalid_utf8_spoils_its_row_alone(company: Company) -> None:
    company.write("tills/1.csv", (HEADER + GOOD).encode() + b"T1,1,\xff\xfe,north,2024-03-01,1,1\n")
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (1, 1)
    assert company.rows("SELECT rule, raw_text FROM raw.quarantine") == [
        ("is not UTF-8", "T1,1,\\xff\\xfe,north,2024-03-01,1,1")
    ]


def test_an_open_quote_does_not_swallow_what_stands_before_it(company: Company) -> None:
    company.write("tills/1.csv", HEADER + GOOD + 'T1,1,"apple,north,2024-03-01,1,1\n')
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (1, 1)


NASTY = ["'; DROP TABLE raw.sales; --", 'a"b', "a'b", "{}", "%s", "$1", "\\", "Robert');"]


def test_names_with_quotes_and_sql_are_only_names(tmp_path: Path) -> None:
    columns = ",".join('"' + name.replace('"', '""') + '"' for name in NASTY)
    key = "[" + ", ".join("'" + name.replace("'", "''") + "'" for name in NASTY[:2]) + "]"
    sources = f"""
sources:
  nasty:
    silo: erp
    path: "it's {{here}}/*.csv"
    key: {key}
    known_at: date '2024-01-01'
    into:
      - items:
          item_id: '{NASTY[0].replace("'", "''")}'
          name: 'a"b'
"""
    company = Company(tmp_path, sources)
    company.write(
        "it's {here}/'; drop.csv",
        f"{columns}\n" + ",".join(f'"v{i}"' for i in range(len(NASTY))) + "\n",
    )
    assert company.land().new_rows == 1
    assert company.rows("SELECT item_id, name FROM raw.items") == [("v0", "v1")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[" * 100_000, "nested"),
        ('{"till": NaN}', "NaN is not JSON"),
        ('{"till": "T1"', "is no JSON object"),
        ("[1, 2]", "is no object"),
        ('{"till": "' + "x" * 10_000_000 + '"}', "has 10,0"),
    ],
)
def test_a_bad_json_line_is_quarantined_and_its_neighbours_land(
    tmp_path: Path, line: str, said: str
) -> None:
    good = (
        '{"till": "T1", "line": 1, "item": "a", "store": "n", "day": "2024-03-01", "qty": 1, '
        '"price": 1}'
    )
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.jsonl"))
    company.write("tills.jsonl", f"{good}\n{line}\n{good.replace('T1', 'T2')}\n")
    report = company.land()
    assert (report.new_rows, report.quarantined_rows) == (2, 1)
    assert said in company.rows("SELECT rule FROM raw.quarantine")[0][0]


def test_numbers_beyond_any_float_in_json_are_quarantined(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.jsonl"))
    company.write(
        "tills.jsonl",
        (
            '{"till": "T1", "line": 1, "item": "a", "store": "n", "day": "2024-03-01", "qty": '
            "1e400, "
            '"price": 1}\n'
        ),
    )
    assert company.land().quarantined_rows == 1


def test_a_sheet_with_one_cell_in_the_last_corner_is_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1048576"] = "till", "far"
    company = Company(tmp_path, SALES.replace("tills/*.csv", "far.xlsx"))
    book.save(company.data / "far.xlsx")
    refused(company, r"far\.xlsx sheet 1: cannot be read")


@pytest.mark.parametrize("name", ["1.parquet", "1.xlsx", "1.csv.gz", "1.zip", "1.tar.gz", "1.json"])
def test_noise_of_any_name_is_one_clear_error(tmp_path: Path, name: str) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", name))
    company.write(name, b"[" + os.urandom(2000))
    refused(company, name)


def test_a_corrupt_parquet_page_is_one_clear_error(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.parquet"))
    frame = pl.DataFrame(
        {name: [f"{i}" for i in range(5000)] for name in HEADER.strip().split(",")}
    )
    frame.write_parquet(company.data / "tills.parquet", compression="zstd")
    raw = bytearray((company.data / "tills.parquet").read_bytes())
    raw[200:2000] = os.urandom(1800)
    company.write("tills.parquet", bytes(raw))
    refused(company, "tills.parquet")


def test_a_contract_of_a_billion_laughs_is_refused(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    (tmp_path / "world.yml").write_text(HEAD.format(timezone="UTC", grain="day") + laughs)
    with pytest.raises(ContractError, match="more than 100,000 entries"):
        World.load(tmp_path)
