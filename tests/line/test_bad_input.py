"""Bad input gets one clear message and exit code 2, and nothing is half-loaded."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

Command = Callable[..., Any]
CONTRACT = """
world: tiny
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 0 days
    delivered_at: regexp_extract(_file, '\\d{4}-\\d{2}-\\d{2}')::timestamp + interval 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
  terms:
    silo: spreadsheets
    path: terms.xlsx
    format: {xlsx: {sheet: Terms}}
    key: [article]
    known_at: date '2024-01-01'
    into: [items: {item_id: article, unit_cost: cost}]
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    import openpyxl

    folder = tmp_path / "world"
    (folder / "till").mkdir(parents=True)
    (folder / "world.yml").write_text(CONTRACT, encoding="utf-8")
    (folder / "till/2024-01-01.csv").write_text(
        "article,shop,day,pieces\nA,main,2024-01-01,3\n", encoding="utf-8"
    )
    book = openpyxl.Workbook()
    book.active.title = "Terms"
    book.active.append(["article", "cost"])
    book.active.append(["A", 1.5])
    book.save(folder / "terms.xlsx")
    return folder


def sales(home: Path) -> int:
    with duckdb.connect(str(home / "derived/warehouse.duckdb"), read_only=True) as con:
        return con.execute("select count(*) from raw.sales").fetchone()[0]


def test_a_truncated_workbook_is_named_and_nothing_of_it_is_loaded(
    world: Path, tmp_path: Path, command: Command
) -> None:
    whole = (world / "terms.xlsx").read_bytes()
    (world / "terms.xlsx").write_bytes(whole[: len(whole) // 2])
    strict = command(
        "run", world, "--home", tmp_path / "strict", "--until", "land", "--strict", code=2
    )
    assert "terms.xlsx" in strict.stderr
    assert "Traceback" not in strict.stderr
    aside = command("run", world, "--home", tmp_path / "home", "--until", "land")
    assert "terms.xlsx" in aside.stdout and "Traceback" not in aside.stderr
    assert sales(tmp_path / "home") == 1  # the other files are taken all the same
    (world / "terms.xlsx").write_bytes(whole)
    report = json.loads(
        command("run", world, "--home", tmp_path / "home", "--until", "land", "--json").stdout
    )
    assert report["new_rows"] >= 1
    assert sales(tmp_path / "home") == 1


def test_a_missing_file_and_an_unknown_column_are_contract_errors(
    world: Path, tmp_path: Path, command: Command
) -> None:
    text = (world / "world.yml").read_text(encoding="utf-8")
    (world / "world.yml").write_text(text.replace("terms.xlsx", "absent.xlsx"), encoding="utf-8")
    assert (
        "absent.xlsx"
        in command("run", world, "--home", tmp_path / "home", "--until", "land", code=2).stderr
    )
    (world / "world.yml").write_text(
        text.replace("quantity: pieces", "quantity: pcs"), encoding="utf-8"
    )
    assert "pcs" in command("check", world, code=2).stdout


def test_a_bad_number_and_a_future_date_go_to_quarantine_with_file_row_and_column(
    world: Path, tmp_path: Path, command: Command
) -> None:
    (world / "till/2024-01-02.csv").write_text(
        "article,shop,day,pieces\nA,main,2024-01-02,4\nA,main,2024-01-02,many\nA,main,2031-01-01,1\n",
        encoding="utf-8",
    )
    report = json.loads(
        command("run", world, "--home", tmp_path / "home", "--until", "land", "--json").stdout
    )
    assert report["quarantined_rows"] == 2
    rows = [
        json.loads(line)
        for line in command("quarantine", "list", "--home", tmp_path / "home").stdout.splitlines()
    ]
    assert [(row["path"], row["row_no"]) for row in rows] == [
        ("till/2024-01-02.csv", 2),
        ("till/2024-01-02.csv", 3),
    ]
    assert rows[0]["column_name"] == "quantity"
    assert rows[0]["value"] == "many"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_can_simply_be_run_again(
    world: Path, tmp_path: Path, command: Command, how: signal.Signals
) -> None:
    for day in range(2, 28):
        shutil.copy(world / "till/2024-01-01.csv", world / f"till/2024-01-{day:02}.csv")
        text = (world / f"till/2024-01-{day:02}.csv").read_text(encoding="utf-8")
        (world / f"till/2024-01-{day:02}.csv").write_text(
            text.replace("2024-01-01", f"2024-01-{day:02}"), encoding="utf-8"
        )
    home = tmp_path / "home"
    arguments = ["run", str(world), "--home", str(home), "--until", "land"]
    running = subprocess.Popen(
        [str(Path(sys.executable).parent / "stockhouse"), *arguments], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while (
        not (home / "derived/warehouse.duckdb").exists()
        and running.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.02)
    running.send_signal(how)
    running.wait(timeout=60)
    command(*arguments)
    assert sales(home) == 27
