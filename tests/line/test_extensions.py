"""A company's own code: what the tutorial shows runs as it stands, and nothing runs unasked."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from models.domain import Economics, Situation
from orchestration.defs.transform import build_own_tables
from orchestration.expectations.custom_checks import with_own
from orchestration.expectations.laws import Gate, Law
from orchestration.home import HomeError, extensions
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.readers.custom_formats import own_table

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = "\n".join(
    re.findall(
        r"```python\n(.*?)```",
        (ROOT / ".github/EXTENDING.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)
WORLD = """
world: corner-shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.txt
    format: {own: till_roll}
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "corner_shop.py"
    path.write_text(TUTORIAL, encoding="utf-8")
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", str(path))
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop/till").mkdir(parents=True)
    (tmp_path / "shop/world.yml").write_text(WORLD, encoding="utf-8")
    (tmp_path / "shop/till/monday.txt").write_text(
        "mug   main2024-01-01 3\nmug   main2024-01-02 1\ncup   main2024-01-02 2\n", encoding="utf-8"
    )
    return tmp_path / "shop"


def stockhouse(*words: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "stockhouse", *map(str, words)]
    told = os.environ | {"PYTHONPATH": str(ROOT)} | env
    return subprocess.run(command, env=told, cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_runs_unless_it_is_named(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STOCKHOUSE_EXTENSIONS", raising=False)
    (shop / "corner_shop.py").write_text("raise SystemExit('ran unasked')", encoding="utf-8")
    assert extensions.named("readers") == {} and extensions.offered("policies") == []
    refused = stockhouse("check", shop)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0 and "no reader called `till_roll`" in said
    assert "STOCKHOUSE_EXTENSIONS" in said and "ran unasked" not in said


def test_reader_and_check_of_the_tutorial_work_in_a_run(
    written: Path, shop: Path, tmp_path: Path
) -> None:
    (shop / "till/tuesday.txt").write_text("mug   main2024-01-03 101\n", encoding="utf-8")
    stopped = stockhouse("run", shop, "--home", tmp_path / "home", "--until", "land")
    assert stopped.returncode == 1
    assert "raw/sales: shop_sells_at_most_a_hundred" in stopped.stderr
    with duckdb.connect(str(tmp_path / "home/derived/warehouse.duckdb"), read_only=True) as con:
        sold = con.execute("select item_id, quantity from raw.sales order by all").fetchall()
    assert sold == [("cup", 2.0), ("mug", 1.0), ("mug", 3.0), ("mug", 101.0)]


def test_a_reader_refuses_a_file_in_its_own_words(written: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("short\n", encoding="utf-8")
    with pytest.raises(ContractError, match="'short' is too short"):
        own_table(tmp_path / "bad.txt", "till_roll", "bad.txt")


def test_tables_are_built_whole_or_not_at_all_and_go_with_their_extension(written: Path) -> None:
    with duckdb.connect() as con:
        con.execute("""
            create schema marts; create table marts.fct_demand as
            select 'mug' as item_id, 4.0 as sold_quantity, true as is_current""")
        build_own_tables(con, extensions.named("tables"), {})
        with pytest.raises(HomeError, match="table 'wrong' cannot be built: Catalog Error"):
            build_own_tables(con, {"right": "select 1", "wrong": "select * from nowhere"}, {})
        assert con.execute("from company.best_sellers").fetchall() == [("mug", 4.0)]
        build_own_tables(con, {}, {})
        assert not con.execute(
            "select * from duckdb_schemas() where schema_name = 'company'"
        ).fetchall()


def test_the_policy_of_the_tutorial_orders_and_stands_in_every_rehearsal(written: Path) -> None:
    (policy,) = extensions.offered("policies")
    situation = Situation(
        on_hand=np.array([3.0]),
        pipeline=np.zeros((1, 1)),
        history=np.ones((1, 5)),
        paths=np.ones((1, 2, 20)),
        lead_time=np.array([2]),
        review=7,
        economics=Economics(*np.ones((4, 1))),
    )
    wanted = policy.order(situation)
    assert wanted.tolist() == [2 + 7 + 14 - 3]
    parts = policy.explain(situation, wanted)
    assert sum(parts.values()) == pytest.approx(wanted)
    asked = (
        "from orchestration.planning.rehearsal import check_policies; "
        "check_policies(['two_weeks_up'])"
    )
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", asked], env=environ, check=True)
    without = {name: value for name, value in environ.items() if name != extensions.VARIABLE}
    gone = subprocess.run(
        [sys.executable, "-c", asked], env=without, capture_output=True, text=True, check=False
    )
    assert "there is no policy 'two_weeks_up'" in gone.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [("nobody", "no installed package brings"), ("gone.py", "there is no such file")],
)
def test_what_is_named_and_not_there_is_said(
    asked: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", asked)
    with pytest.raises(HomeError, match=said):
        extensions.named("tables")


def test_names_that_are_taken_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    law = Law("known", "raw.sales", "select 1 from {batch}", "A law.")
    gate = Gate("raw_in", (law,))
    (tmp_path / "one.py").write_text("tables = {'a': 'select 1'}", encoding="utf-8")
    (tmp_path / "two.py").write_text(
        "from orchestration.expectations.laws import Law\ntables = {'a': 'select 2'}\n"
        "checks = {'raw_in': [Law('known', 'raw.sales', 'select 1 from {batch}', 'Mine.')]}",
        encoding="utf-8",
    )
    both = ",".join(str(tmp_path / name) for name in ("one.py", "two.py"))
    monkeypatch.setenv("STOCKHOUSE_EXTENSIONS", both)
    with pytest.raises(HomeError, match="two extensions offer tables called 'a'"):
        extensions.named("tables")
    with pytest.raises(HomeError, match="a name that is taken"):
        with_own(gate)
    with pytest.raises(HomeError, match="adds checks to the gate"):
        with_own(Gate("other", ()))
