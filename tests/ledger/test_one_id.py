"""One line has one id: run, orders, trace and approve say and take the same."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from models.domain import need_id
from orchestration.app.publishing import write_snapshot
from orchestration.cli import app
from orchestration.cli.render_run import OrderTable
from orchestration.facts import decisions
from orchestration.home import Home
from orchestration.ledger import Ledger, LedgerError
from orchestration.planning.plan import order_line_id
from tests.gates.tiny_company import found


def test_approve_takes_the_id_a_plan_gives_its_line_with_or_without_the_run(
    ledger: Any, line: Any, now: Any
) -> None:
    lines = [line("mug"), line("cup"), line("jar")]
    made = ledger.propose(lines, "run 1", now)
    named = [order_line_id("0123abcd-of-any-run", lines[0]), need_id(lines[1].intent_key)]
    assert ledger.approve(named, "ann", now) == [
        made.document_ids[item.intent_key] for item in lines[:2]
    ]
    with pytest.raises(LedgerError, match="stockhouse orders"):
        ledger.approve(["0123456789"], "ann", now)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home whose published plan has three lines, all of them requisitions."""
    home = Home.found(tmp_path / "home", "tiny")
    warehouse = found(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(warehouse)) as con:
        for table in decisions.DECISIONS:
            rows = con.execute(f"select * from decisions.{table}").pl()
            decisions.record(home.decisions, "run-1", table, rows, as_of=datetime(2024, 3, 1))
    write_snapshot(warehouse, home.published, "run-1")
    warehouse.rename(home.warehouse)
    return home


def said(home: Home, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--home", str(home.root), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_orders_lists_can_be_traced_and_approved(home: Home, line: Any, now: Any) -> None:
    ledger = Ledger.open(home.ledger_url)
    ledger.propose([line("mug"), line("lamp", 24)], "run 1", now)
    ledger.close()
    listed = said(home, "orders")["orders"]
    assert [row["value"] for row in listed] == sorted(
        (row["value"] for row in listed), reverse=True
    )
    one = listed[0]
    assert (one["status"], one["currency"], one["item"]) == ("requisition", "EUR", "Desk lamp")
    approved = said(home, "approve", one["id"], "--by", "ann")["approved"]
    assert approved == [one["document_id"]]
    assert [row["id"] for row in said(home, "orders", "--status", "approved")["orders"]] == [
        one["id"]
    ]
    refused = CliRunner().invoke(app, ["orders", "--status", "gone", "--home", str(home.root)])
    assert refused.exit_code == 2
    cases = said(home, "orders", "--exceptions")["exceptions"]
    assert [case["item_id"] for case in cases] == ["lamp"]
    assert "value_at_risk" in cases[0]
    told = CliRunner().invoke(app, ["orders", "--exceptions", "--home", str(home.root)]).stdout
    assert told.startswith("1 case for a person")
    assert cases[0]["reason"] in told
    wide = {"COLUMNS": "160"}  # however wide a pipe is taken to be here
    drawn = CliRunner().invoke(app, ["orders", "--home", str(home.root)], env=wide).stdout
    assert drawn.lstrip().startswith("2 order lines")
    assert "lamp Desk lamp" in drawn and drawn.count("item") == 1


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_table_of_orders_shows_every_id_name_and_currency_uncut(home: Home, width: int) -> None:
    from rich.console import Console

    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    lines = decisions.latest(home.decisions, "order_lines")
    assert lines is not None
    console.print(OrderTable(lines, {"mug": "A mug with a very long name"}, "EUR"))
    shown = console.export_text()
    assert "…" not in shown
    assert "A mug with a very long name" in " ".join(shown.split()) or width > 100
    assert "EUR" in shown
    for key in lines["intent_key"]:
        assert need_id(key) in shown
