"""Every answer of the shared cases, heard by the command on a home whose one order lies with its
supplier."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from models.domain import OrderLine
from orchestration.app import procurement, publishing, worklist
from orchestration.cli import app as shell
from orchestration.home import Home
from orchestration.ledger import Ledger
from tests.line.shared_case_runs import CASES

NOW = datetime(2024, 7, 19)
ORDER = "SHP00000007"
ITEMS = {"A1": (189, 4), "A2": (70, 5), "A3": (48, 6), "A4": (28, 7), "A5": (7, 8), "A6": (228, 9)}
ALL = dict.fromkeys(ITEMS, "acknowledged")
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here"),
]


@dataclass(frozen=True)
class Heard:
    """stages: where each line stands at the end. asks: of whom, and words of the question. due: the
    day promised for every line. billed: the bill's words for one line."""

    files: tuple[str, ...]
    stages: dict[str, str] = field(default_factory=lambda: ALL)
    asks: tuple[tuple[str, str], ...] = ()
    due: str = "2024-07-27"
    billed: tuple[str, ...] = ()


HEARD = {
    # the same minute and a smaller number: nobody can tell which is newer, so a person is asked
    "edi_control_numbers_restart": Heard(
        ("reset1.edi", "reset2.edi"), asks=(("buyer", "which one is newer cannot be told"),)
    ),
    "edi_line_in_cases": Heard(
        ("case.edi",), ALL | {"A3": "sent"}, (("buyer", "is in 'case', it was ordered in 'piece'"),)
    ),
    "edi_promised_day_in_dtm": Heard(("dtm.edi",), due="2024-09-30"),
    "edi_total_rounded_once": Heard(
        ("round.edi",), dict.fromkeys(ITEMS, "sent"), billed=("A1", "A2", "A3")
    ),
    "edi_two_interchanges": Heard(("two.edi",)),
    "edi_unknown_line_code": Heard(
        ("bp.edi",), ALL | {"A2": "sent"}, (("buyer", "BP, accepted in part"),)
    ),
    "mail_unheard_after_failed_run": Heard(("ok.edi",)),
}


def command(home: Path, *words: str) -> Any:
    done = CliRunner().invoke(shell, [*words, "--home", str(home)])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `_edi_home/prepare.sh` makes: a published home, six lines approved by anna and sent."""
    home = Home.found(tmp_path_factory.mktemp("edi") / "home", "tiny")
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("""
            create schema raw; create schema marts; create schema metrics;
            create table raw.world as select 'tiny' as world, 'EUR' as currency,
                'UTC' as timezone, 'day' as grain, timestamp '2024-07-19' as now_at;
            create table marts.fct_receipts (order_id varchar, line_id varchar, item_id varchar,
                quantity double, event_at timestamp, is_current boolean);
            create table marts.fct_lead_times (order_id varchar, kind varchar,
                received_at timestamp, is_censored boolean);
            create table marts.dim_items (item_id varchar, name varchar, category varchar,
                is_current boolean);
            create table marts.dim_item_locations (item_id varchar, location_id varchar,
                price double);
            create table metrics.kpi_supplier_performance (supplier_id varchar,
                due_lines bigint, otif_share double);
        """)
    publishing.write_snapshot(home.warehouse, home.published, "run 1", NOW)
    ledger = Ledger.open(home.ledger_url)
    plan = [
        OrderLine(
            world="tiny",
            kind="purchase",
            item_id=item,
            location_id="MAIN",
            from_id="S1",
            quantity=units,
            review_period=date(2024, 7, 19),
            due_on=date(2024, 7, 27),
            unit_cost=float(cost),
            parts={"expected_demand": float(units)},
            reason="demand over the window less the stock position",
        )
        for item, (units, cost) in ITEMS.items()
    ]
    ids = ledger.propose(plan, "run 1", NOW).document_ids.values()
    ledger.close()
    command(home.root, "approve", *ids, "--by", "anna")
    assert "1 sent" in command(home.root, "send", "--send")
    return home.root


@pytest.fixture
def hear(sent: Path, tmp_path: Path) -> Iterator[Callable[[Path], list[dict[str, Any]]]]:
    home = tmp_path / "home"
    shutil.copytree(sent, home, symlinks=True)

    def heard(message: Path) -> list[dict[str, Any]]:
        folder = home / "state" / "partners" / "S1" / "in"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(message, folder)
        told = json.loads(command(home, "hear", "--json"))
        return list(told["messages"])

    yield heard
    assert "every chain is intact" in command(home, "audit")


@pytest.mark.parametrize("case", HEARD)
def test_an_answer_is_taken_and_its_odd_line_asked_about(
    case: str, hear: Callable[[Path], list[dict[str, Any]]], tmp_path: Path
) -> None:
    expected = HEARD[case]
    for name in expected.files:
        ((status,),) = [{m["status"]} for m in hear(CASES / case / name)]
        assert status == "taken"
    ledger = Ledger.open(Home.open(tmp_path / "home").ledger_url)
    lines = ledger.lines()
    ledger.close()
    assert {line.order_id for line in lines} == {ORDER}
    assert {line.item_id: line.stage for line in lines} == expected.stages
    assert {str(line.due_on) for line in lines} == {expected.due}
    assert sorted(line.item_id for line in lines if line.invoices) == list(expected.billed)
    told = json.loads(command(tmp_path / "home", "orders", "--exceptions", "--json"))["exceptions"]
    asked = [case["reason"] for case in told if case["kind"] == "supplier_message"]
    assert len(asked) == len(expected.asks)
    for reason, (owner, words) in zip(asked, expected.asks, strict=True):
        assert reason.startswith(f"for {owner}, of S1: ")
        assert words in reason


def test_a_question_that_a_person_answered_is_asked_no_more(
    hear: Callable[[Path], list[dict[str, Any]]], tmp_path: Path
) -> None:
    hear(CASES / "edi_line_in_cases" / "case.edi")
    with procurement.open_desk(Home.open(tmp_path / "home")) as desk:
        (case,) = worklist.cases_to_do(desk)["case_id"]
        worklist.work(desk, [case], "ann", worklist.DONE, "they meant 4 cases of 12")
        assert worklist.cases_to_do(desk).is_empty()
        asked = worklist.worklist(desk)
    assert asked.select("case_id", "status", "by").rows() == [(case, worklist.DONE, "ann")]
