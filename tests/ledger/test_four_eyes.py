"""What needs two people needs two, however one of them spells their name, and whoever moved a
quantity counts among them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from models.domain import OrderLine
from models.procurement import x12
from models.procurement.actors import MACHINES
from models.procurement.approval import Limits
from models.procurement.documents import PARTS
from models.procurement.scorecard import failure_risk
from orchestration.app import procurement
from orchestration.cli import app as shell
from orchestration.home import Home
from orchestration.ledger import Ledger, LedgerError, Partner, Receipt
from orchestration.planning import override_journal

from .test_procure_station import publish

DISGUISES = [
    ("anna", "an\u200bna"),
    ("anna", "ａｎｎａ"),
    ("anna", "аnna"),
    ("Émile", "e\u0301mile"),
    ("anna smith", "anna  smith"),
    ("STRASSE", "straße"),
    ("anna", "ANNA "),
    ("coco", "сосо"),
    ("anna", "an\u034fna"),
    ("alice", "aIice"),
    ("bernard", "bemard"),
]
LARGE = {"quantity": 1000, "unit_cost": 2000.0}


@pytest.mark.parametrize(("proposer", "typed"), DISGUISES)
def test_nobody_approves_what_they_proposed_however_they_spell_it(
    ledger: Ledger, line, now, proposer, typed
) -> None:
    ledger.propose([line(**LARGE)], "r", now, by=proposer)
    (document,) = ledger.lines()
    with pytest.raises(LedgerError, match=r"separation of duties|mixes letters"):
        ledger.approve([document.document_id], typed, now)
    assert ledger.lines()[0].stage == "requisition"
    assert ledger.approve([document.document_id], "Zoë", now)
    assert ledger.audit() == []


@pytest.mark.parametrize("machine", MACHINES)
def test_a_machine_s_name_cannot_be_typed(ledger: Ledger, line, now, machine) -> None:
    ledger.propose([line(**LARGE)], "r", now)
    (document,) = ledger.lines()
    acts: list[Callable[[str], object]] = [
        lambda by: ledger.approve([document.document_id], by, now),
        lambda by: ledger.reject([document.document_id], by, now, "no"),
        lambda by: ledger.firm([document.document_id], by, now),
        lambda by: ledger.stop(by, now, "no"),
        lambda by: ledger.propose_limits(Limits(), by, now),
    ]
    for act in acts:
        for typed in (machine, machine.upper(), machine[0] + "\u200b" + machine[1:]):
            with pytest.raises(LedgerError, match="the machine signs with"):
                act(typed)
    assert len(ledger.events()) == 1


def test_whoever_wrote_an_override_does_not_approve_what_it_moved(
    ledger: Ledger, line, now
) -> None:
    moved = {("mug", "DC"): {"Anna"}}
    ledger.propose([line("mug", **LARGE), line("cup", **LARGE)], "r", now, authors=moved)
    mug, cup = (document.document_id for document in ledger.lines())
    with pytest.raises(LedgerError, match="moved by an override by Anna"):
        ledger.approve([mug], "anna", now)
    assert ledger.approve([cup], "anna", now) == [cup]
    assert ledger.approve([mug], "bob", now) == [mug]
    assert ledger.audit() == []


def test_an_override_that_leaves_the_quantity_moves_the_line_all_the_same_and_once(
    ledger: Ledger, line, now
) -> None:
    plan, moved = [line("mug", **LARGE)], {("mug", "DC"): {"Anna"}}
    ledger.propose(plan, "r", now)
    assert ledger.propose(plan, "s", now, authors=moved).revised == 1
    assert ledger.propose(plan, "t", now, authors=moved).unchanged == 1
    (mug,) = (document.document_id for document in ledger.lines())
    with pytest.raises(LedgerError, match="moved by an override by Anna"):
        ledger.approve([mug], "anna", now)


def agree(ledger: Ledger, limits: Limits, now: datetime) -> None:
    """Put limits in force, as it takes two people to."""
    ledger.propose_limits(limits, "dan", now)
    ledger.confirm_limits("kim", now)


def billed(
    ledger: Ledger,
    line: Callable[..., OrderLine],
    now: datetime,
    folder: Path,
    came: float,
    units: float,
    price: float,
) -> str:
    """A line of ten at 2.50, sent, of which so much came and so much was billed; its document."""
    ledger.propose([line("mug", 10)], "r", now)
    ledger.approve_within_limits(now)
    partner = Partner("S1", str(folder / "S1"), "GBP")
    ledger.send({"S1": partner}, now)
    (order,) = ledger.lines()
    ledger.record_receipts(
        [Receipt("G1", order.order_id, order.line_id, came, now)], "warehouse", now
    )
    said = [
        ["BIG", "20260120", "INV1", "20260105", order.order_id],
        ["IT1", "1", f"{units:g}", "EA", f"{price:g}", "", "VP", "mug"],
    ]
    body = x12.write(
        "810",
        "IN",
        [*said, ["TDS", f"{units * price * 100:.0f}"]],
        partner.their,
        partner.ours,
        1,
        now,
    )
    ledger.receive(body.encode(), partner, now)
    return order.document_id


@pytest.mark.parametrize(
    ("came", "units", "price"), [(1000, 1000, 2.5), (10, 10, 3.5), (10, 20, 2.5), (11, 11, 2.5)]
)
def test_more_than_was_ordered_is_paid_by_a_person_with_the_level_and_the_room(
    ledger, line, now, tmp_path, came, units, price
) -> None:
    limits = Limits(
        approvers={"ann": 1, "dan": 3, "kim": 3},
        buyer_amount=30.0,
        auto_amount=30.0,
        manager_amount=35.0,
    )
    agree(ledger, limits, now)
    document_id = billed(ledger, line, now, tmp_path, came, units, price)
    assert ledger.lines()[0].invoices["INV1"]["status"] == "exception"
    if units * price > 30:
        with pytest.raises(LedgerError, match="needs level"):
            ledger.release_payment(document_id, "INV1", "ann", now)
    agree(ledger, Limits(**{**limits.to_payload(), "daily_cap": 25.0 + 2.0}), now)
    if units * price - 25 > 2.0:
        with pytest.raises(LedgerError, match="beyond the order"):
            ledger.release_payment(document_id, "INV1", "dan", now)
    with pytest.raises(LedgerError, match="the machine signs with"):
        ledger.release_payment(document_id, "INV1", "three-way match", now)
    agree(ledger, limits, now)
    ledger.release_payment(document_id, "INV1", "dan", now)
    assert ledger.lines()[0].invoices["INV1"]["amount"] == round(units * price * PARTS)
    assert ledger.audit() == []


def test_whoever_changed_a_line_does_not_release_its_payment(ledger, line, now, tmp_path) -> None:
    document_id = billed(ledger, line, now, tmp_path, 5, 10, 2.5)
    with pytest.raises(LedgerError, match="unknown"):
        ledger.release_payment(document_id, "INV9", "bob", now)
    ledger.release_payment(document_id, "INV1", "bob", now)


@pytest.fixture
def home(tmp_path: Path, line: Callable[..., OrderLine]) -> Home:
    place = Home.found(tmp_path / "home", "w")
    publish(place)
    with procurement.open_desk(place) as desk:
        desk.ledger.propose([line("mug", 10)], "r", desk.now)
        desk.ledger.approve_within_limits(desk.now)
    return place


def run(home: Home, *words: str, code: int = 0) -> dict:
    done = CliRunner().invoke(shell, [*words, "--home", str(home.root), "--json"])
    assert done.exit_code == code, (done.output, done.exception)
    return json.loads(done.stdout) if code == 0 else {"said": done.stderr}


def test_a_bill_is_released_from_the_command_line(tmp_path: Path, line, now) -> None:
    place = Home.found(tmp_path / "home", "w")
    publish(place)
    with procurement.open_desk(place) as desk:
        document_id = billed(desk.ledger, line, now, tmp_path, 10, 10, 3.5)
    assert (
        run(place, "payment", "release", document_id, "INV1", "--by", "bob")["released"] == "INV1"
    )
    assert (
        "paid for already"
        in run(place, "payment", "release", document_id, "INV1", "--by", "bob", code=2)["said"]
    )


def test_the_matrix_reads_the_risk_that_the_scorecard_shows(home: Home, line) -> None:
    with procurement.open_desk(home) as desk:
        desk.ledger.propose([line("cup", from_id="S9")], "r2", desk.now)
        risks = {name: said.supplier_risk for name, said in procurement.evidence(desk).items()}
        (cup,) = [
            document.document_id for document in desk.ledger.lines() if document.item_id == "cup"
        ]
    assert risks[cup] == pytest.approx(failure_risk(18, 0)) == pytest.approx(19 / 20)
    shown = {row["supplier_id"]: row for row in run(home, "supplier", "scorecard")["suppliers"]}
    assert shown["S9"]["risk"] == risks[cup]
    assert shown["S1"]["risk"] == failure_risk(0, 0) == 0.5
    assert shown["S1"]["lead_time_mean_days"] is None


def test_without_a_name_the_user_of_the_system_acts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "somebody else")
    monkeypatch.setenv("LOGNAME", "somebody else")
    assert run(home, "limits", "set", "daily_cap=900")["proposed_by"] not in ("", "somebody else")


def test_the_authors_of_overrides_in_force_move_what_they_name_and_what_that_knocks_on(
    home: Home,
) -> None:
    rows = pl.DataFrame(
        {
            "item_id": ["mug", "mug", "cup"],
            "location_id": ["UK", "DC", "DC"],
            "lead_time_periods": [1, 1, 1],
        }
    )
    now, on = datetime(2026, 1, 5), date(2026, 1, 5)
    override_journal.add(
        home,
        rows,
        override_journal.parse(
            "quantity", 5.0, "why", ["item_id=mug", "location_id=UK"], None, None
        ),
        "anna",
        now,
        on,
    )
    override_journal.add(
        home,
        rows,
        override_journal.parse("demand_factor", 2.0, "why", ["item_id=mug"], None, None),
        "ben",
        now,
        on,
    )
    gone, _ = override_journal.add(
        home,
        rows,
        override_journal.parse("demand_factor", 2.0, "why", ["item_id=cup"], None, None),
        "eve",
        now,
        on,
    )
    override_journal.expire(home, gone.override_id, "eve", "over", now)
    named = {("mug", "UK"): {"anna", "ben"}, ("mug", "DC"): {"ben"}}
    assert override_journal.movers(home, now, on, rows) == named
    assert override_journal.movers(home, now, on, rows, [("cup", "DC"), ("mug", "DC")]) == named | {
        ("cup", "DC"): {"anna", "ben"}
    }


def test_who_has_no_role_approves_nothing_once_roles_are_kept(ledger, line, now):
    (small,) = ledger.propose(
        [line(quantity=1, unit_cost=0.01)], "run 1", now
    ).document_ids.values()
    ledger.propose_limits(Limits(approvers={"Ann": 1, "kim": 3}), "eve", now)
    ledger.confirm_limits("kim", now)
    with pytest.raises(LedgerError, match="needs level 1, bob has 0"):
        ledger.approve([small], "bob", now)
    assert ledger.approve([small], "ANN", now) == [small]
