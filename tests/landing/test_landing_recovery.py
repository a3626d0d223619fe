"""The archive and the warehouse agree after every loss: what lacks lands again, what was never
acknowledged does not, bytes are proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from orchestration.landing import ContractError, quarantine
from tests.landing.company import FIRST_DAY, SALES, Company

LINE = "T{i},1,apple,north,2024-03-{day:02},{i},1.50\n"
HEADER = FIRST_DAY.split("\n")[0] + "\n"
TWO_SOURCES = (
    SALES
    + """  corrections:
    silo: pos
    path: corrections/*.csv
    key: [till, line]
    known_after: 1 day
    into:
      - sales: {item_id: item, location_id: store, event_at: day, quantity: qty, unit_price: price}
"""
)


def lose_derived(company: Company) -> None:
    company.con.close()
    (company.folder / "warehouse.duckdb").unlink()
    company.con = duckdb.connect(str(company.folder / "warehouse.duckdb"))


@pytest.fixture
def three_days(company: Company) -> Company:
    company.contract(TWO_SOURCES)
    for day in (1, 2, 3):
        company.write(f"tills/{day}.csv", HEADER + LINE.format(i=day, day=day))
    company.write("corrections/1.csv", HEADER + LINE.format(i=9, day=9))
    company.write("tills/same.csv", HEADER + LINE.format(i=7, day=7))
    # equal bytes of two sources
    company.write("corrections/same.csv", HEADER + LINE.format(i=7, day=7))
    company.land()
    return company


def rotate(company: Company) -> None:
    for name in ("tills/1.csv", "tills/2.csv", "corrections/1.csv"):
        (company.data / name).unlink()


def test_a_landing_after_a_lost_warehouse_gives_all_that_was_ever_landed(
    three_days: Company,
) -> None:
    before = three_days.business()
    order = three_days.rows(
        "SELECT source_id, delivery, landed_seq FROM raw.manifest ORDER BY landed_seq"
    )
    rotate(three_days)
    lose_derived(three_days)
    said: list[str] = []
    three_days.land(progress=said.append)
    assert three_days.business() == before
    assert (
        three_days.rows(
            "SELECT source_id, delivery, landed_seq FROM raw.manifest ORDER BY landed_seq"
        )
        == order
    )
    assert [line for line in said if "lacks" in line]


@pytest.mark.parametrize("source", ["tills", "corrections"])
def test_a_landing_gives_back_one_source_that_the_warehouse_lost(
    three_days: Company, source: str
) -> None:
    before = three_days.business()
    rotate(three_days)
    three_days.con.execute("DELETE FROM raw.sales WHERE source_id = ?", [source])
    three_days.con.execute("DELETE FROM raw.manifest WHERE source_id = ?", [source])
    three_days.land()
    assert three_days.business() == before
    assert three_days.land().new_rows == 0


@pytest.mark.parametrize(
    "point", ["bytes moved:1", "bytes archived:1", "before commit:1", "rows committed:1"]
)
def test_a_rebuild_knows_exactly_what_the_runs_acknowledged_whenever_one_is_killed(
    company: Company, point: str
) -> None:
    company.write("tills/1.csv", HEADER + LINE.format(i=1000, day=1))
    company.con.close()
    code = (
        "import sys, duckdb; from pathlib import Path; from orchestration.landing import World, "
        "land; d = Path(sys.argv[1]);"
        "land(duckdb.connect(str(d / 'warehouse.duckdb')), World.load(d / 'data'), d / 'data', d / "
        "'state' / 'archive')"
    )
    environment = {**os.environ, "STOCKHOUSE_FAILPOINT": point, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", code, str(company.folder)], env=environment, check=False
    )
    assert done.returncode == -9
    company.write("tills/1.csv", HEADER + LINE.format(i=1, day=1))  # mended before the next run
    company.con = duckdb.connect(str(company.folder / "warehouse.duckdb"))
    company.land()
    known = company.business()
    assert len(known["sales"]) == (2 if point.startswith("rows committed") else 1)
    company.reland()
    assert company.business() == known


def test_an_error_at_the_commit_leaves_no_receipt_behind(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()

    def fail(*_: object) -> list[object]:
        raise OSError("no space left on device")

    company.write("tills/2.csv", HEADER + LINE.format(i=5, day=5))
    with monkeypatch.context() as broken:
        broken.setattr("orchestration.landing.load.delivery_batches.manifest_row", fail)
        with pytest.raises(OSError, match="no space"):
            company.land()
    company.reland()
    assert company.rows("SELECT count(*) FROM raw.sales") == [(2,)]
    assert company.land().new_rows == 1


@pytest.mark.parametrize("reading", ["rebuild", "changed contract", "lost warehouse"])
def test_altered_bytes_of_the_archive_are_refused_whenever_they_are_read_and_nothing_is_emptied(
    company: Company, reading: str
) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    before = company.business()
    (file,) = (path for path in company.archive.iterdir() if len(path.name) == 64)
    file.write_bytes(file.read_bytes().replace(b",3,1.50", b",9,1.50"))
    if reading == "lost warehouse":
        lose_derived(company)
    if reading == "changed contract":
        company.contract(SALES.replace("unit_price: price", "revenue: price"))
    with pytest.raises(ContractError, match="altered"):
        company.reland() if reading == "rebuild" else company.land()
    if reading != "lost warehouse":
        assert company.business() == before


def test_a_torn_sidecar_is_named(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    (sidecar,) = company.archive.glob("*.json")
    sidecar.write_bytes(sidecar.read_bytes()[:-30])
    with pytest.raises(ContractError, match=sidecar.name):
        company.reland()


@pytest.mark.parametrize("lost", range(1, 40, 3))
def test_a_discard_torn_by_a_power_cut_spoils_no_other(company: Company, lost: int) -> None:
    company.write(
        "tills/1.csv",
        HEADER + "T1,1,a,n,2024-03-01,x,1\nT2,1,b,n,2024-03-01,y,1\nT3,1,c,n,2024-03-01,z,1\n",
    )
    company.land()
    one, two, three = (
        name for (name,) in company.rows("SELECT quarantine_id FROM raw.quarantine ORDER BY row_no")
    )
    quarantine.discard(company.con, company.archive, [one])
    quarantine.discard(company.con, company.archive, [two])
    file = company.archive / "discarded.jsonl"
    file.write_bytes(file.read_bytes()[:-lost])
    quarantine.discard(company.con, company.archive, [three])
    company.reland()
    known = {
        name
        for (name,) in company.rows(
            "SELECT quarantine_id FROM raw.quarantine WHERE status = 'discarded'"
        )
    }
    assert {one, three} <= known
    assert json.dumps({"quarantine_id": three}) in file.read_text()
