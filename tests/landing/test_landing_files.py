"""One odd file never stops the others: litter is passed over and named, what cannot be read is set
aside whole, a torn file gives way."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import openpyxl
import pytest

from orchestration.landing import ContractError, check
from orchestration.landing.readers.drops import Discovered, discover
from tests.landing.company import FIRST_DAY, SALES, Company

HEADER = FIRST_DAY.split("\n")[0] + "\n"
SECOND = HEADER + "T2,1,plum,north,2024-03-02,4,1\n"
LITTER = [
    "~$tills.csv",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
    "._1.csv",
    ".~lock.1.csv#",
    "2.csv.filepart",
    "x.crdownload",
    "2.csv.tmp",
]


def packed(members: dict[str, bytes]) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return found.getvalue()


def workbook() -> bytes:
    book, found = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for line in FIRST_DAY.strip().split("\n"):
        book.active.append(line.split(","))
    book.save(found)
    return found.getvalue()


@pytest.mark.parametrize("litter", LITTER)
def test_litter_beside_files_is_passed_over_and_named(tmp_path: Path, litter: str) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills/*") + "    format: csv\n")
    company.write("tills/1.csv", FIRST_DAY)
    company.write(f"tills/{litter}", b"\x00\x05\x16\x07")
    report = company.land(strict=True)
    assert (report.new_rows, report.quarantined_rows) == (2, 0)
    assert [said for said in report.passed_over if litter in said]
    assert [said for said in map(str, check(company.world, company.data)) if litter in said]


def test_a_mac_zip_is_its_files(tmp_path: Path) -> None:
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.zip") + "    format: csv\n")
    body = {
        "sales.csv": FIRST_DAY.encode(),
        "__MACOSX/._sales.csv": b"\0\5\x16\7\0",
        "sub/.DS_Store": b"\0",
    }
    company.write("tills.zip", packed(body))
    report = company.land(strict=True)
    assert (report.new_deliveries, report.new_rows) == (1, 2)
    assert len(report.passed_over) == 2


BROKEN = {
    "NUL in the header": (
        "b.csv",
        b"till,li\0ne,item,store,day,qty,price\nT2,1,plum,north,2024-03-02,4,1\n",
    ),
    "nothing in it": ("b.csv", b""),
    "no such encoding": ("b.csv", "till,line,ïtem\n".encode("latin-1")),
    "no gzip": ("b.csv.gz", b"not packed at all"),
    "a gzip cut short": ("b.csv.gz", gzip.compress(SECOND.encode() * 50)[:-20]),
    "no zip": ("b.zip", b"PK\3\4 and noise"),
    "a zip cut short": ("b.zip", packed({"b.csv": SECOND.encode() * 50})[:-30]),
    "no workbook": ("b.xlsx", b"no workbook"),
    "a workbook cut short": ("b.xlsx", workbook()[:-100]),
    "no parquet": ("b.parquet", b"PAR1 no"),
    "no JSON": ("b.json", b'[{"till": '),
    "no format that we know": ("b.docx", b"minutes of a meeting"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_cannot_be_read_is_set_aside_whole_and_the_others_land(
    tmp_path: Path, case: str
) -> None:
    name, content = BROKEN[case]
    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills/*"))
    company.write("tills/a.csv", FIRST_DAY)
    company.write(f"tills/{name}", content)
    company.write("tills/c.csv", SECOND)
    with pytest.raises(ContractError, match=name):
        company.land(strict=True)
    report = company.land()
    assert company.rows("SELECT count(*) FROM raw.sales") == [(3,)]
    assert [said for said in report.set_aside if name in said]
    ((path, rule),) = company.rows("SELECT path, rule FROM raw.quarantine")
    assert path.startswith(f"tills/{name}")
    assert rule.startswith("the file cannot be read: ")
    assert company.rows(
        "SELECT count(*) FROM raw.manifest WHERE rows_in = 1 AND rows_unclaimed = 1 AND "
        "rows_loaded = 0"
    ) == [(1,)]
    before, quarantine = company.business(), company.rows("SELECT * FROM raw.quarantine")
    assert company.land().new_deliveries == 0
    company.reland()
    assert (company.business(), company.rows("SELECT * FROM raw.quarantine")) == (
        before,
        quarantine,
    )


@pytest.mark.parametrize("target", ["nowhere.csv", "b.csv", "../../outside.csv"])
def test_a_link_that_leads_nowhere_or_out_is_no_file_and_the_others_land(
    company: Company, target: str
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    (company.folder / "outside.csv").write_text(SECOND)
    (company.data / "tills/b.csv").symlink_to(target)
    with pytest.raises(ContractError, match=r"b\.csv"):
        company.land(strict=True)
    report = company.land()
    assert report.new_rows == 2
    assert [said for said in report.passed_over if "tills/b.csv" in said]


def test_a_drop_folder_that_is_emptied_after_loading_is_no_error(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    (company.data / "tills/1.csv").unlink()
    assert company.land().new_rows == 0
    assert company.rows("SELECT count(*) FROM raw.sales") == [(2,)]


def test_a_source_that_may_be_absent_is_awaited_and_any_other_is_an_error(company: Company) -> None:
    with pytest.raises(ContractError, match="matches nothing"):
        company.land()
    company.contract(SALES + "    optional: true\n")
    assert company.land().new_rows == 0
    assert not [finding for finding in check(company.world, company.data) if finding.is_error]
    company.write("tills/1.csv", FIRST_DAY)
    assert company.land().new_rows == 2


ROWS = SALES.replace("key: [till, line]", "identity: row")


@pytest.mark.parametrize("missing", [1, 2, 3, 5, 9, 20, 31, 40, 60])
def test_a_file_landed_while_it_is_written_gives_way_to_its_whole_self(
    tmp_path: Path, missing: int
) -> None:
    whole = HEADER + "".join(f"T{i},1,a{i},n,2024-03-01,{1000 + i},2.25\n" for i in range(30))
    torn, at_once = Company(tmp_path / "torn", ROWS), Company(tmp_path / "whole", ROWS)
    torn.write("tills/1.csv", whole[:-missing])
    torn.land()
    for company in (torn, at_once):
        company.write("tills/1.csv", whole)
        company.land()
    assert torn.business() == at_once.business()
    assert torn.rows("SELECT count(*) FROM raw.quarantine WHERE status = 'open'") == [(0,)]
    assert torn.land().new_rows == 0
    torn.reland()
    assert torn.business() == at_once.business()


def test_a_file_that_grows_by_whole_lines_keeps_its_earlier_self(company: Company) -> None:
    company.contract(ROWS)
    # whole, and without an end to its last line
    company.write("tills/1.csv", FIRST_DAY.rstrip("\n"))
    company.land()
    company.write("tills/1.csv", FIRST_DAY + SECOND.removeprefix(HEADER))
    assert company.land().new_rows == 1
    assert company.rows("SELECT count(*), count(DISTINCT delivery) FROM raw.sales") == [(3, 2)]


def test_a_file_that_changes_while_it_is_copied_is_left_to_the_next_landing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = company.write("tills/1.csv", FIRST_DAY)
    company.write("tills/2.csv", SECOND)  # is read at once

    def growing(*place: Any) -> Discovered:
        found = discover(*place)

        def opened() -> IO[bytes]:
            path.write_text(FIRST_DAY + "T9,1,plum,n,2024-03-0")
            return path.open("rb")

        first, *others = found.drops
        return replace(found, drops=[replace(first, open=opened), *others])

    monkeypatch.setattr("orchestration.landing.load.landing.discover", growing)
    told: list[str] = []
    report = company.land(progress=told.append)
    assert report.new_rows == 1
    assert report.passed_over == ["tills/1.csv: is still written; the next landing takes it"]
    assert f"passed over {report.passed_over[0]}" in told
    monkeypatch.undo()
    path.write_text(FIRST_DAY)
    assert company.land().new_rows == 2
