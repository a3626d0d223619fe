"""Autonomy with limits: who may approve what, the cap, the budget, and a switch that outlives
restarts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic import command
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DatabaseError

from models.procurement.approval import Limits
from models.procurement.currencies import minor_unit, money
from models.procurement.documents import PARTS, Document, Event, apply, worth
from orchestration.ledger import Ledger, LedgerError, approvals_and_limits
from orchestration.ledger.store import configuration


def proposed(ledger, lines, now):
    made = ledger.propose(lines, "run 1", now)
    return {key.split("|")[2]: document for key, document in made.document_ids.items()}


def test_the_database_itself_keeps_proposer_and_approver_apart(ledger, line, now):
    made = ledger.propose([line()], "run 1", now, by="Ann")
    ids = list(made.document_ids.values())
    with (
        pytest.raises(LedgerError, match="separation of duties"),
        ledger.store.writing(now) as unit,
    ):
        (document,) = approvals_and_limits.find(unit, ids)  # past every check of ours
        unit.add(
            document,
            "approved",
            " ann ",
            approvals_and_limits.number(unit, [document])[ids[0]] | {"level": 1, "reasons": []},
        )
    assert ledger.approve(list(made.document_ids.values()), "bob", now)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE events SET payload = '{}'", "DELETE FROM events", "DELETE FROM encumbrances"],
)
def test_the_database_refuses_to_change_history(ledger, line, now, statement):
    ledger.propose([line()], "run 1", now)
    ledger.approve_within_limits(now)
    with (
        pytest.raises(DatabaseError, match="append-only"),
        ledger.store.engine.begin() as connection,
    ):
        connection.execute(sa.text(statement))


def test_the_database_holds_one_live_document_per_intent(ledger, line, now):
    ledger.propose([line()], "run 1", now)
    copy = (
        "INSERT INTO documents SELECT 'R2', version, head, stage, intent_key, is_live, order_id, "
        "from_id, review_period, "
    )
    with (
        pytest.raises(DatabaseError, match=r"(?i)unique"),
        ledger.store.engine.begin() as connection,
    ):
        connection.execute(sa.text(copy + "awaits_sending, state FROM documents"))


def test_the_matrix_approves_small_lines_and_leaves_large_ones_to_people(ledger, line, now):
    ids = proposed(ledger, [line("mug", 10), line("cup", 4000), line("jar", 400_000)], now)
    report = ledger.approve_within_limits(now)
    assert report.approved == (ids["mug"],)
    assert {document: level for document, (level, _) in report.waiting.items()} == {
        ids["cup"]: 1,
        ids["jar"]: 3,
    }


def test_only_a_person_of_the_needed_level_may_approve(ledger, line, now):
    ledger.propose_limits(Limits(approvers={"ann": 1, "dan": 3}), "eve", now)
    ledger.confirm_limits("dan", now)
    ids = proposed(ledger, [line("jar", 400_000)], now)
    for by in ("ann", "eve"):
        with pytest.raises(LedgerError, match="needs level 3"):
            ledger.approve([ids["jar"]], by, now)
    assert ledger.approve([ids["jar"]], "dan", now) == [ids["jar"]]


def test_the_daily_cap_is_kept_by_robot_and_people_alike(ledger, line, now):
    ledger.propose_limits(Limits(daily_cap=60), "eve", now)
    ledger.confirm_limits("dan", now)
    ids = proposed(ledger, [line("mug", 10), line("cup", 12), line("jar", 14)], now)
    report = ledger.approve_within_limits(now)
    assert report.approved == (ids["mug"], ids["cup"])
    with pytest.raises(LedgerError, match="daily cap"):
        ledger.approve([ids["jar"]], "ann", now)
    assert ledger.approve([ids["jar"]], "ann", now.replace(day=6))


def test_what_happens_to_an_order_happens_to_its_lines_alone_and_says_why(ledger, line, now):
    moved = line("jar", 10, kind="transfer", from_id="HUB")
    ids = proposed(ledger, [line("mug"), line("cup", from_id="S2"), moved], now)
    assert set(ledger.approve_within_limits(now).approved) == set(ids.values())
    orders = {one.document_id: one.order_id for one in ledger.lines()}
    assert {item: orders[ids[item]][:3] for item in ids} == {
        "mug": "SHP",
        "cup": "SHP",
        "jar": "SHT",
    }
    assert len(set(orders.values())) == 3
    assert ledger.cancel([orders[ids["cup"]]], "ann", now, "too early") == [ids["cup"]]
    said = [(one.document_id, one.kind, one.payload) for one in ledger.events()]
    assert [payload for *which, payload in said if which == [ids["cup"], "cancelled"]] == [
        {"reason": "too early"}
    ]
    judged = [payload for _, kind, payload in said if kind == "approved"]
    assert [(one["level"], one["reasons"]) for one in judged] == [(0, [])] * 3


def test_cancelling_releases_the_budget_but_not_the_cap_of_the_day(ledger, line, now):
    ledger.propose_limits(Limits(budget=30), "eve", now)
    ledger.confirm_limits("dan", now)
    ids = proposed(ledger, [line("mug", 10), line("cup", 10)], now)
    assert ledger.approve_within_limits(now).approved == (ids["mug"],)
    ledger.cancel([ids["mug"]], "ann", now, "too early")
    ledger.propose_limits(Limits(budget=30, daily_cap=30), "eve", now)
    ledger.confirm_limits("dan", now)
    assert ledger.approve_within_limits(now).approved == ()
    assert ledger.approve_within_limits(now.replace(day=6)).approved == (ids["cup"],)


def test_the_switch_survives_a_restart(url, now):
    first = Ledger.open(url)
    first.stop("ann", now, "a strange plan")
    first.close()
    second = Ledger.open(url)
    assert second.is_stopped()
    second.resume("ann", now, "explained")
    assert not second.is_stopped()
    second.close()


def test_an_approval_is_all_or_nothing(ledger, line, now):
    ids = proposed(ledger, [line("mug"), line("jar", 400_000)], now)
    ledger.propose_limits(Limits(approvers={"ann": 1}), "eve", now)
    ledger.confirm_limits("dan", now)
    with pytest.raises(LedgerError, match="needs level"):
        ledger.approve(list(ids.values()), "ann", now)
    assert {document.stage for document in ledger.lines()} == {"requisition"}


def test_nobody_acts_without_a_name_or_on_an_unknown_line(ledger, line, now):
    ids = proposed(ledger, [line()], now)
    with pytest.raises(LedgerError, match="nobody is named"):
        ledger.reject([ids["mug"]], " ", now, "no")
    with pytest.raises(LedgerError, match="no order line"):
        ledger.reject(["R99"], "ann", now, "no")


def test_a_change_may_not_spend_more_than_was_approved(ledger, line, now):
    ids = proposed(ledger, [line("mug", 10)], now)
    ledger.approve([ids["mug"]], "ann", now)
    with pytest.raises(LedgerError, match="not between"):
        ledger.change(ids["mug"], "ann", now, quantity=11)
    ledger.change(ids["mug"], "ann", now, quantity=4, reason="slower sales")
    (document,) = ledger.lines()
    assert (document.quantity, document.revision, document.encumbered) == (4, 1, 100_000)
    day = date.fromisoformat(document.due_on) + timedelta(days=3)
    ledger.change(ids["mug"], "ann", now, due_on=day, reason="the shop is closed")
    (document,) = ledger.lines()
    assert (document.quantity, document.due_on, document.revision) == (4, day.isoformat(), 2)


def test_the_record_says_why_a_person_was_asked_and_why_a_need_was_refused(ledger, line, now):
    ledger.propose_limits(Limits(approvers={"dan": 3}), "eve", now)
    ledger.confirm_limits("dan", now)
    ids = proposed(ledger, [line("jar", 400_000), line("mug", 4000)], now)
    waiting = ledger.approve_within_limits(now).waiting
    ledger.approve([ids["jar"]], "dan", now)
    ledger.reject([ids["mug"]], "bob", now, "we stop selling it")
    (refused, approved) = ledger.history(("approved", "rejected"))
    assert approved.payload["reasons"] == list(waiting[ids["jar"]][1]) != []
    assert (approved.payload["level"], refused.payload) == (3, {"reason": "we stop selling it"})


@given(
    st.sampled_from(["KWD", "JPY", "GBP", "CLF"]),
    st.lists(st.tuples(st.integers(1, 10**6), st.decimals("0.0001", 10**4, places=4)), max_size=9),
)
def test_what_is_held_is_what_will_be_billed_in_any_currency(currency, asked):
    billed = [money(quantity * price, currency) for quantity, price in asked]
    held = sum(worth(float(quantity), float(price), currency) for quantity, price in asked)
    assert Decimal(held) / PARTS == sum(billed)


@pytest.mark.parametrize("currency", ["KWD", "JPY", "GBP"])
def test_a_budget_is_counted_to_the_smallest_coin(ledger, line, now, currency):
    lines = [line("mug", 3, unit_cost=1.2345), line("jug", 1, unit_cost=0.9996)]
    coin = minor_unit(currency)
    needed = money(Decimal("3.7035"), currency) + money(Decimal("0.9996"), currency)
    ids = ledger.propose(lines, "run 1", now, currency=currency).document_ids.values()
    limits = Limits(budget=float(needed - coin))
    ledger.propose_limits(limits, "eve", now)
    ledger.confirm_limits("dan", now)
    with pytest.raises(LedgerError, match="the budget is used up"):
        ledger.approve(list(ids), "bob", now)
    ledger.propose_limits(Limits(budget=float(needed)), "eve", now)
    ledger.confirm_limits("dan", now)
    assert len(ledger.approve(list(ids), "bob", now)) == 2
    assert ledger.measures()["encumbered_money"] == float(needed)
    assert ledger.audit() == []


def test_a_ledger_of_hundredths_is_brought_up_to_date_and_back(ledger, line, now, url):
    ledger.propose([line()], "run 1", now)
    ledger.approve_within_limits(now)
    with ledger.store.engine.begin() as connection:
        config = configuration()
        config.attributes["connection"] = connection
        command.downgrade(config, "r0003")
        assert connection.scalar(sa.text("SELECT amount_cents FROM encumbrances")) == 2500
    again = Ledger.open(url)
    assert again.measures()["encumbered_money"] == 25.0
    assert [one for one in again.audit() if "checkpoint" not in one] == []
    again.close()
    old = Document("R1", invoices={"I1": {"status": "matched"}})
    said = {"invoice_id": "I1", "amount_cents": 2500}
    apply(old, Event(1, "R1", 1, "payment_proposed", "eve", "", "", said))
    assert old.invoices["I1"]["amount"] == 25 * PARTS
