"""A customer forgotten: a stand-in takes their place everywhere, no number changes, and nothing
leads back."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.landing import ContractError, forget
from orchestration.landing.contract.world import Csv
from orchestration.landing.erase.delivery_redaction import (
    Naming,
    StandIn,
    candidates,
    rewrite_delimited,
)
from orchestration.landing.load import quarantine
from orchestration.landing.load.failpoints import FORGETTING
from orchestration.landing.load.failpoints import VARIABLE as FAILPOINT
from orchestration.landing.load.store import read_sidecar
from tests.landing.company import Company

ROOT = Path(__file__).resolve().parents[2]
ANN, BOB = "90210", "55555"
SOURCE = """
sources:
  tills:
    silo: pos
    path: PATH
    FORMAT
    identity: row
    known_after: 1 day
    into:
      - sales: {when: qty::int > 0, item_id: item, location_id: store, event_at: day, quantity: qty, customer_id: who}
      - returns: {when: qty::int < 0, item_id: item, location_id: store, event_at: day, quantity: -qty::int, customer_id: who}
"""
CSV = SOURCE.replace("PATH", "tills/*.csv").replace("FORMAT", "format: csv")
COLUMNS = ["item", "store", "day", "qty", "who"]
ROWS = [
    ["apple", "north", "2024-03-01", "3", ANN],
    # the id as a part of another, and as a number that is none
    [f"4{ANN}3", "north", "2024-03-01", ANN, BOB],
    ["apple", "north", "2024-03-02", "-1", ANN],
    ["fig", "north", "2024-03-03", "2", None],
]


def delimited(rows: list[list[str | None]], **how: Any) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", **how).writerows([COLUMNS, *rows])
    return text.getvalue()


def archived(company: Company) -> bytes:
    return b"".join(
        path.read_bytes() for path in sorted(company.archive.rglob("*")) if path.is_file()
    )


def facts(company: Company) -> list[tuple[Any, ...]]:
    """Who bought as a number in the order of first purchases, so that a stand-in changes
    nothing."""
    rows = company.rows(
        """SELECT 'sale', item_id, event_at, quantity, customer_id, known_at, delivery, row_no
            FROM raw.sales
        UNION ALL SELECT 'return', item_id, event_at, quantity, customer_id, known_at, delivery,
            row_no FROM raw.returns
        ORDER BY 7, 8, 2, 4"""
    )
    people: dict[Any, int] = {}
    return [(*row[:4], row[4] and people.setdefault(row[4], len(people)), *row[5:]) for row in rows]


@pytest.fixture
def shop(company: Company) -> Company:
    company.contract(CSV)
    company.write("tills/1.csv", delimited(ROWS))
    company.write(
        "tills/2.csv",
        delimited(
            [["pear", "north", "2024-03-05", "-1", ANN], ["pear", "north", "2024-03-05", "1", BOB]]
        ),
    )
    company.write("tills/3.csv", delimited([["pear", "north", "2024-03-06", "1", BOB]]))
    company.land()
    return company


def as_parquet(company: Company) -> bytes:
    values = ", ".join(
        "(" + ", ".join("NULL" if cell is None else f"'{cell}'" for cell in row) + ")"
        for row in ROWS
    )
    target = company.folder / "rows.parquet"
    company.con.execute(
        "COPY (SELECT item, store, day::DATE AS day, qty::INT AS qty, who::BIGINT AS who FROM "
        f"(VALUES {values}) t({', '.join(COLUMNS)}))"
        f" TO '{target}' (FORMAT parquet)"
    )
    return target.read_bytes()


OBJECTS = [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]
NUMBERED = [
    {**row, "qty": int(str(row["qty"])), "who": row["who"] and int(str(row["who"])), "price": 0.1}
    for row in OBJECTS
]
FORMATS: dict[str, tuple[str, str, Any]] = {
    "csv": ("f.csv", "format: csv", delimited(ROWS)),
    "quoted": (
        "f.csv",
        "format: csv",
        "\ufeff" + delimited(ROWS, quoting=csv.QUOTE_ALL).replace("\n", "\r\n"),
    ),
    "semicolons": (
        "f.csv",
        "format: {csv: {delimiter: ';', encoding: windows-1252}}",
        delimited(ROWS, delimiter=";").replace("fig", "fräulein").encode("cp1252"),
    ),
    "titled": (
        "f.csv",
        "format: {csv: {skip_lines: 1}}",
        f"all of {ANN}, and more\n" + delimited(ROWS),
    ),
    "headless": (
        "f.csv",
        f"format: {{csv: {{header: [{', '.join(COLUMNS)}]}}}}",
        delimited(ROWS).partition("\n")[2],
    ),
    "tsv": ("f.tsv", "format: tsv", delimited(ROWS, delimiter="\t")),
    "jsonl": ("f.jsonl", "format: jsonl", "".join(json.dumps(row) + "\n" for row in OBJECTS)),
    "numbers": ("f.jsonl", "format: jsonl", "".join(json.dumps(row) + "\n" for row in NUMBERED)),
    "document": (
        "f.json",
        "format: {json: {records: data.rows}}",
        json.dumps({"of": "today", "data": {"rows": NUMBERED}}, indent=2),
    ),
    "parquet": ("f.parquet", "format: parquet", as_parquet),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_no_row_changes_but_for_the_stand_in(company: Company, kind: str) -> None:
    name, form, content = FORMATS[kind]
    company.contract(SOURCE.replace("PATH", name).replace("FORMAT", form))
    company.write(name, content(company) if callable(content) else content)
    company.land()
    before, quantities = (
        facts(company),
        company.rows("SELECT item_id, quantity FROM raw.sales ORDER BY ALL"),
    )
    assert len(before) == 4
    found = forget(company.con, company.world, company.archive, ANN)
    assert (found.deliveries, found.rows, found.sources) == (1, 2, ["tills"])
    assert facts(company) == before
    assert company.rows("SELECT item_id, quantity FROM raw.sales ORDER BY ALL") == quantities, (
        "an id within an id, or a number, is another"
    )
    assert forget(company.con, company.world, company.archive, ANN).deliveries == 0
    company.reland()
    assert facts(company) == before


def test_nothing_leads_back_to_who_was_forgotten(shop: Company) -> None:
    shop.write(
        "tills/4.csv",
        delimited(
            [
                ["apple", "north", "2024-03-01", "many", "31337"],
                ["apple", "north", "2024-03-01", "1", "31337"],
            ]
        ),
    )
    shop.write("tills/5.csv", delimited([]) + "apple,north,2024-03-02,1,31337,and,more\n")
    shop.land()
    assert b"31337" in archived(shop)
    before = facts(shop)
    hashes = {row[0] for row in shop.rows("SELECT customer_id FROM raw.sales")}
    assert forget(shop.con, shop.world, shop.archive, "31337").deliveries == 2, (
        "also where it stands in a broken line alone"
    )
    assert b"31337" not in archived(shop)
    assert facts(shop) == before
    assert len(hashes - {row[0] for row in shop.rows("SELECT customer_id FROM raw.sales")}) == 1
    assert quarantine.list(shop.con).height == 3


def test_a_broken_line_loses_the_id_where_it_stands_alone(shop: Company) -> None:
    shop.write(
        "tills/4.csv",
        delimited([["fig", "north", "2024-03-01", "1", "31337"]])
        + "apple,north,2024-03-02,1,31337,4313370\n",
    )
    shop.land()
    forget(shop.con, shop.world, shop.archive, "31337")
    (text,) = shop.rows("SELECT raw_text FROM raw.quarantine")[0]
    assert "31337," not in text
    assert text.endswith(",4313370")
    assert b",31337" not in archived(shop)
    assert shop.rows("SELECT count(*) FROM raw.quarantine") == [(1,)]


def test_the_stand_in_is_one_person_across_deliveries_and_nobody_who_is_there(
    shop: Company,
) -> None:
    before = facts(shop)
    assert forget(shop.con, shop.world, shop.archive, ANN).deliveries == 2
    assert facts(shop) == before
    stand_ins = {
        line.split(b",")[4].strip()
        for line in archived(shop).splitlines()
        if line.startswith((b"apple", b"pear")) and BOB.encode() not in line
    }
    (name,) = stand_ins
    assert len(name) == 5
    assert name.isdigit()
    assert name != BOB.encode()


def test_the_archive_keeps_the_name_and_notes_what_it_holds_now(shop: Company) -> None:
    names = sorted(path.name for path in shop.archive.iterdir())
    forget(shop.con, shop.world, shop.archive, ANN)
    assert sorted(path.name for path in shop.archive.iterdir()) == names
    for sidecar in shop.archive.glob("*.json"):
        told, held = (
            read_sidecar(sidecar),
            hashlib.sha256((shop.archive / sidecar.stem).read_bytes()).hexdigest(),
        )
        assert held == (told["redacted"]["sha256"] if "redacted" in told else told["sha256"])
    assert sum("redacted" in read_sidecar(sidecar) for sidecar in shop.archive.glob("*.json")) == 2


@pytest.mark.parametrize("name", ["tills/1.csv", "tills/again.csv"])
def test_the_original_bytes_handed_over_again_bring_nothing_back(shop: Company, name: str) -> None:
    shop.contract(
        CSV.replace(
            "    known_after",
            (
                "    delivered_at: timestamp '2024-04-01' + to_days(length(_file)::int)\n    "
                "known_after"
            ),
        )
    )
    shop.land()
    forget(shop.con, shop.world, shop.archive, ANN)
    before = facts(shop)
    shop.write(name, delimited(ROWS))
    shop.land()
    assert [row[:5] for row in facts(shop)] == [row[:5] for row in before]
    assert not [line for line in archived(shop).splitlines() if line.endswith(f",{ANN}".encode())]
    assert sum("redacted" in read_sidecar(sidecar) for sidecar in shop.archive.glob("*.json")) == 2


def test_forgotten_twice_and_never_seen_say_so(shop: Company) -> None:
    forget(shop.con, shop.world, shop.archive, ANN)
    before = archived(shop)
    again = forget(shop.con, shop.world, shop.archive, ANN)
    assert (again.deliveries, again.rows, again.similar) == (0, 0, [])
    assert archived(shop) == before


def test_an_id_written_otherwise_is_pointed_out(shop: Company) -> None:
    shop.write("tills/4.csv", delimited([["fig", "north", "2024-03-01", "1", "31337.0"]]))
    shop.land()
    assert forget(shop.con, shop.world, shop.archive, "31337").similar == ["31337.0"]


@pytest.mark.parametrize("customer", ["", "  "])
def test_nobody_is_called_nothing(shop: Company, customer: str) -> None:
    with pytest.raises(ContractError, match="nobody is called nothing"):
        forget(shop.con, shop.world, shop.archive, customer)


def test_an_expression_of_several_columns_is_taken_apart(company: Company) -> None:
    company.contract(
        CSV.replace("customer_id: who", "customer_id: upper(trim(who)) || '-' || store")
    )
    company.write(
        "tills/1.csv",
        delimited(
            [["fig", "n7", "2024-03-01", "1", " ann9 "], ["fig", "n7", "2024-03-01", "2", "ANN9"]]
        ),
    )
    company.land()
    before = facts(company)
    with pytest.raises(
        ContractError,
        match=r"tills/1.csv: the customer cannot be replaced without changing what else its rows say",
    ):
        forget(company.con, company.world, company.archive, "ANN9-n7")
    company.contract(CSV.replace("customer_id: who", "customer_id: upper(trim(who))"))
    company.land()
    assert forget(company.con, company.world, company.archive, "ANN9").rows == 2
    assert facts(company) == before
    assert b"ann9" not in archived(company).lower()


def test_an_id_that_also_says_something_else_is_refused_with_nothing_changed(shop: Company) -> None:
    shop.contract(CSV.replace("location_id: store", "location_id: who"))
    shop.land()
    before = archived(shop)
    with pytest.raises(
        ContractError, match=r"without changing what else its rows say; nothing was changed"
    ):
        forget(shop.con, shop.world, shop.archive, ANN)
    assert archived(shop) == before


def test_a_workbook_is_refused_by_name_with_nothing_changed(shop: Company) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in [COLUMNS, *ROWS]:
        book.active.append(row)
    book.save(shop.write("books/b.xlsx", b""))
    shop.contract(
        CSV
        + CSV.replace("\nsources:\n", "")
        .replace("tills:", "books:")
        .replace("tills/*.csv", "books/*.xlsx")
        .replace("format: csv", "format: xlsx")
    )
    shop.land()
    before = archived(shop)
    with pytest.raises(ContractError, match=r"books/b.xlsx: is a workbook"):
        forget(shop.con, shop.world, shop.archive, ANN)
    assert archived(shop) == before
    assert forget(shop.con, shop.world, shop.archive, "31337").deliveries == 0


@pytest.mark.parametrize(
    ("point", "times"),
    [
        ("deliveries rewritten", 1),
        ("sources marked", 1),
        *(("bytes replaced", n) for n in (1, 2, 3, 4)),
        ("after commit", 1),
    ],
)
def test_killed_at_any_moment_the_next_landing_or_the_next_try_finishes(
    shop: Company, point: str, times: int
) -> None:
    before = facts(shop)
    shop.con.close()
    code = (
        "import duckdb; from pathlib import Path; from orchestration.landing import World, forget\n"
        f"con = duckdb.connect({str(shop.folder / 'warehouse.duckdb')!r})\n"
        f"forget(con, World.load(Path({str(shop.data)!r})), Path({str(shop.archive)!r}), {ANN!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, FAILPOINT: f"{point}:{times}", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == -9
    assert point in (*FORGETTING, "after commit")
    survivor = Company(shop.folder, CSV)
    survivor.land()
    assert facts(survivor) == before
    is_begun = point in ("bytes replaced", "after commit")
    assert forget(survivor.con, survivor.world, survivor.archive, ANN).deliveries == (
        0 if is_begun else 2
    )
    assert facts(survivor) == before
    assert not [
        line for line in archived(survivor).splitlines() if line.endswith(f",{ANN}".encode())
    ]
    assert not [path for path in survivor.archive.iterdir() if path.name.startswith(".")]
    survivor.con.close()


cells = st.text(st.sampled_from('ab12;,"\n é'), max_size=5)


@given(
    rows=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_only_the_cells_of_the_customer_change(
    rows: list[list[str]], end: str, quoting: Any
) -> None:
    rows = [[cell or "x" for cell in row] for row in rows]
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=quoting).writerows([["a", "b", "c"], *rows])
    customer = rows[0][1]
    naming = Naming(("b",), {(customer,): ("stand-in",)})
    raw = rewrite_delimited(
        text.getvalue().encode(),
        Csv(),
        ["a", "b", "c"],
        [naming],
        [""],
        StandIn(customer, "stand-in"),
    )
    expected = [[a, "stand-in" if b == customer else b, c] for a, b, c in rows]
    assert list(csv.reader(io.StringIO(raw.decode(), newline="")))[1:] == expected


@given(customer=st.text(min_size=1, max_size=8).filter(str.strip))
def test_a_stand_in_has_the_shape_of_the_id_and_is_another(customer: str) -> None:
    names = candidates(customer, 5)
    assert names
    assert all(name.casefold() != customer.casefold() for name in names)
    for name in names:
        assert all(
            (new.isdigit() if old.isdigit() else new.isalpha() if old.isalpha() else new == old)
            for old, new in zip(customer, name, strict=False)
        )
