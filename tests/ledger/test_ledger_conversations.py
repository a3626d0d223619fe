"""Whole conversations with a counterparty that was written by somebody else: mock-edi answers what
we send, and misbehaves on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa
from mockedi.testing import Mock

from models.procurement import x12
from models.procurement.x12 import Party
from orchestration.ledger import Ledger, Partner, Receipt
from orchestration.ledger.schema import inbox
from orchestration.ledger.transports import Envelope, TransportError, deliver

ITEMS = {"WIDGET-001": 12.5, "BRKT-050": 4.15}


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock.start(
        start_at="2026-01-05T09:00:00Z", despatch_delay_ms=3_600_000, invoice_delay_ms=7_200_000
    ) as running:
        yield running


@pytest.fixture
def partners(mock: Mock) -> dict[str, Partner]:
    partner = Partner(
        "S1", f"{mock.base}/edi", "USD", party=Party("MOCKEDI"), ours=Party("ACME"), usage="T"
    )
    return {"S1": partner}


def order(ledger: Ledger, line, now, quantity: float = 100) -> dict[str, str]:
    plan = [line(item, quantity, unit_cost=cost) for item, cost in ITEMS.items()]
    made = ledger.propose(plan, "run 1", now)
    ledger.approve_within_limits(now)
    return {key.split("|")[2]: document for key, document in made.document_ids.items()}


def hear(ledger: Ledger, mock: Mock, partners: dict[str, Partner], now: datetime) -> list[str]:
    """Let the partner say all it will ever say, and take every word of it."""
    mock.advance(everything=True)
    mock.settle()
    waiting = mock.expect("GET", "/_mock/mailbox")
    return [
        ledger.receive(document["payload"].encode(), partners["S1"], now).status
        for document in waiting
    ]


def lines(ledger: Ledger):
    return {document.item_id: document for document in ledger.lines()}


def reasons(ledger: Ledger) -> list[str]:
    return [event.payload["reason"] for event in ledger.events() if event.kind == "excepted"]


def receive_goods(ledger: Ledger, now, accepted: float | None = None) -> None:
    arrived = [
        Receipt(
            f"GR-{d.line_id}", d.order_id, d.line_id, accepted or sum(d.shipments.values()), now
        )
        for d in ledger.lines()
        if d.shipments
    ]
    ledger.record_receipts(arrived, "warehouse", now)


def test_our_orders_and_changes_are_valid_x12_to_a_strict_partner(
    ledger, line, now, mock, partners
):
    mock.behaviour("ACME", "strict")
    ids = order(ledger, line, now)
    assert ledger.send(partners, now).sent == 1
    ledger.change(ids["BRKT-050"], "ann", now, quantity=60, reason="slower sales")
    assert ledger.send(partners, now).sent == 1
    document = lines(ledger)["BRKT-050"]
    there = mock.order(document.order_id)["lines"]
    assert [float(said["quantity"]) for said in there] == [100, 60]
    assert set(hear(ledger, mock, partners, now)) == {"taken"}
    assert (lines(ledger)["BRKT-050"].confirmed, reasons(ledger)) == (60, [])


def test_accepted_shipped_billed_matched_and_proposed_for_payment(
    ledger, line, now, mock, partners
):
    order(ledger, line, now)
    ledger.send(partners, now)
    assert set(hear(ledger, mock, partners, now)) == {"taken"}
    assert {d.stage for d in ledger.lines()} == {"shipped"}
    receive_goods(ledger, now)
    assert {item: d.stage for item, d in lines(ledger).items()} == dict.fromkeys(ITEMS, "closed")
    paid = sum(e.payload["amount"] for e in ledger.events() if e.kind == "payment_proposed")
    assert paid == 12_500_000 + 4_150_000
    assert ledger.measures()["encumbered_money"] == 0
    assert reasons(ledger) == []
    assert ledger.audit() == []


def test_a_short_shipment_is_expected_short_and_paid_short(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "short-ship")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    widget = lines(ledger)["WIDGET-001"]
    assert widget.acknowledgement["code"] == "IQ"
    assert 0 < widget.open_quantity < 100
    assert any("IQ" in reason for reason in reasons(ledger))
    receive_goods(ledger, now)
    assert ledger.measures()["encumbered_money"] == 0
    assert ledger.audit() == []


def test_a_rejected_order_frees_its_budget_and_its_need(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "reject-all")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    assert {d.stage for d in ledger.lines()} == {"refused"}
    assert ledger.measures()["encumbered_money"] == 0
    again = ledger.propose([line("WIDGET-001", 100)], "run 2", now)
    assert again.new_orders == 1
    assert ledger.audit() == []


def test_one_rejected_line_leaves_the_other_standing(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "reject-line")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    assert sorted(d.stage for d in ledger.lines()) == ["refused", "shipped"]


def test_a_suppliers_price_is_an_exception_and_its_bill_is_not_paid_by_itself(
    ledger, line, now, mock, partners
):
    made = ledger.propose([line("WIDGET-001", 100, unit_cost=10.0)], "run 1", now)
    ledger.approve_within_limits(now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    receive_goods(ledger, now)
    (document,) = ledger.lines()
    assert any("price is 12.5, ordered at 10" in reason for reason in reasons(ledger))
    ((invoice_id, invoice),) = document.invoices.items()
    assert (invoice["status"], invoice["reason"]) == (
        "exception",
        "invoice price differs from the order price",
    )
    ledger.release_payment(next(iter(made.document_ids.values())), invoice_id, "ann", now)
    assert lines(ledger)["WIDGET-001"].stage == "closed"
    assert ledger.audit() == []


def test_a_duplicate_invoice_is_paid_once(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "duplicate-invoice")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    receive_goods(ledger, now)
    assert sum(event.kind == "payment_proposed" for event in ledger.events()) == len(ITEMS)
    assert ledger.audit() == []


def test_answers_out_of_order_end_where_orderly_ones_do(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "out-of-order")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    receive_goods(ledger, now)
    assert {d.stage for d in ledger.lines()} == {"closed"}
    assert ledger.audit() == []


def test_more_than_ordered_on_the_way_is_an_exception(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "over-ship")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    assert sum("on the way" in reason for reason in reasons(ledger)) == len(ITEMS)


def test_a_silent_supplier_is_chased_once(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "no-ack")
    order(ledger, line, now)
    ledger.send(partners, now)
    assert mock.get("/_mock/mailbox").body == []
    assert ledger.chase(now) == []
    assert len(ledger.chase(now.replace(day=8))) == len(ITEMS)
    assert ledger.chase(now.replace(day=9)) == []


def test_a_corrupt_answer_is_rejected_and_kept(ledger, line, now, mock, partners):
    mock.behaviour("ACME", "corrupt")
    order(ledger, line, now)
    ledger.send(partners, now)
    assert "rejected" in hear(ledger, mock, partners, now)
    assert any("wrong control total: SE01" in reason for reason in reasons(ledger))
    assert {d.stage for d in ledger.lines()} == {"sent"}
    assert ledger.audit() == []


def test_a_translator_that_refuses_us_is_an_exception_of_the_edi_desk(
    ledger, line, now, mock, partners
):
    mock.behaviour("ACME", "reject-ack")
    order(ledger, line, now)
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    owners = {event.payload["owner"] for event in ledger.events() if event.kind == "excepted"}
    assert owners == {"EDI desk"}


def test_a_cancelled_order_is_called_off_at_the_supplier(ledger, line, now, mock, partners):
    ids = order(ledger, line, now)
    ledger.send(partners, now)
    order_id = lines(ledger)["WIDGET-001"].order_id
    ledger.cancel(list(ids.values()), "ann", now, "the season is over")
    ledger.send(partners, now)
    assert mock.order(order_id)["status"] == "cancelled"
    hear(ledger, mock, partners, now)
    assert (ledger.measures()["encumbered_money"], reasons(ledger)) == (0, [])
    assert ledger.audit() == []


def test_a_cancellation_that_comes_too_late_is_an_exception(ledger, line, now, mock, partners):
    ids = order(ledger, line, now)
    ledger.send(partners, now)
    mock.advance(seconds=3_600)
    ledger.cancel([ids["WIDGET-001"]], "ann", now, "the season is over")
    ledger.send(partners, now)
    hear(ledger, mock, partners, now)
    assert any("on the way for a line that is cancelled" in reason for reason in reasons(ledger))


def test_a_resend_repeats_its_control_number_and_makes_no_second_order(
    ledger, line, now, mock, partners
):
    order(ledger, line, now)
    calls = []

    def commit_and_time_out(envelope, partner):
        calls.append(envelope)
        deliver(envelope, partner)
        if len(calls) == 1:
            raise TransportError("timed out waiting for the answer")

    before = len(mock.get("/_mock/orders").body)
    assert ledger.send(partners, now, commit_and_time_out).waiting == 1
    with ledger.store.locked() as connection:
        connection.exec_driver_sql("UPDATE outbox SET next_at = ''")
    assert ledger.send(partners, now, commit_and_time_out).sent == 1
    assert calls[0] == calls[1]
    assert len(mock.get("/_mock/orders").body) == before + 1
    hear(ledger, mock, partners, now)
    assert {d.stage for d in ledger.lines()} == {"shipped"}
    assert ledger.audit() == []


def test_what_a_partner_sends_is_receipted_once_where_it_wants_that(
    ledger, line, now, mock, partners
):
    partners = {"S1": replace(partners["S1"], receipts=True)}
    order(ledger, line, now)
    ledger.send(partners, now)
    statuses = hear(ledger, mock, partners, now)
    assert set(hear(ledger, mock, partners, now)) <= {"repeated"}
    posted: list[Envelope] = []
    report = ledger.send(
        partners,
        now,
        lambda envelope, partner: posted.append(envelope) or deliver(envelope, partner),
    )
    assert (report.sent, report.waiting, report.dead) == (len(posted), 0, 0)
    heard = [x12.read(bytes(row.body)) for row in ledger.store.read(sa.select(inbox.c.body))]
    answered = [
        transaction
        for interchange in heard
        for transaction in interchange.sets
        if transaction.code != "997"
    ]
    receipts = [transaction for envelope in posted for transaction in x12.read(envelope.body).sets]
    assert (
        len(statuses)
        > len(receipts)
        == len({transaction.group_control for transaction in answered})
        > 0
    )
    assert {transaction.code for transaction in receipts} == {"997"}
    assert {int(t.segments[0][2]) for t in receipts} == {t.group_control for t in answered}
    assert {t.segments[1][1] for t in receipts} == {"A"}
    assert ledger.send(partners, now).sent == 0
    assert ledger.audit() == []
