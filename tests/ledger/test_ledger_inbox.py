"""Bad input from outside: rejected or an exception with owner and reason, the original kept, never
silently accepted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.procurement import x12
from models.procurement.codec import LARGEST
from orchestration.ledger import Ledger, LedgerError, Partner, Receipt
from orchestration.ledger.schema import inbox

AT = datetime(2026, 1, 6)
GROUPS = {"855": "PR", "865": "CA", "856": "SH", "810": "IN", "997": "FA"}


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner("S1", str(tmp_path / "S1"), "GBP")


@pytest.fixture
def sent(ledger: Ledger, line, now, partner) -> Ledger:
    ledger.propose([line("mug", 10)], "run 1", now)
    ledger.approve_within_limits(now)
    ledger.send({"S1": partner}, now)
    return ledger


def delivery(partner: Partner, code: str, segments: list[list[str]], control: int = 1) -> bytes:
    return x12.write(
        code, GROUPS[code], segments, partner.their, partner.ours, control, AT
    ).encode()


def answer(
    ledger: Ledger,
    code: str = "IA",
    quantity: str = "10",
    price: str = "2.5",
    line_id: str = "1",
    item: str = "mug",
    currency: str = "GBP",
):
    (document,) = ledger.lines()
    return [
        ["BAK", "00", "AD", document.order_id, "20260105"],
        ["CUR", "SE", currency],
        ["PO1", line_id, "10", "EA", price, "", "VP", item],
        ["ACK", code, quantity, "EA", "067", "20260125"],
    ]


def invoice(
    ledger: Ledger,
    number: str = "INV1",
    quantity: str = "10",
    price: str = "2.5",
    currency: str = "GBP",
    freight: int = 0,
):
    (document,) = ledger.lines()
    total = round(float(quantity) * float(price) * 100) + freight
    charge = [["SAC", "C", "D240", "", "", str(freight)]] if freight else []
    return [
        ["BIG", "20260122", number, "20260105", document.order_id],
        ["CUR", "SE", currency],
        ["IT1", "1", quantity, "EA", price, "", "VP", "mug"],
        ["TDS", str(total)],
        *charge,
    ]


def notice(ledger: Ledger, quantity: str = "10", shipment: str = "SHIP1"):
    (document,) = ledger.lines()
    return [
        ["BSN", "00", shipment, "20260120", "0900"],
        ["DTM", "017", "20260124"],
        ["HL", "1", "", "S"],
        ["HL", "2", "1", "O"],
        ["PRF", document.order_id],
        ["HL", "3", "2", "I"],
        ["LIN", "1", "VP", "mug"],
        ["SN1", "1", quantity, "EA"],
    ]


def exceptions(ledger: Ledger) -> list[tuple[str, str]]:
    return [
        (event.payload["owner"], event.payload["reason"])
        for event in ledger.events()
        if event.kind == "excepted"
    ]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"currency": "USD"}, "is in GBP, the message in USD"),
        ({"line_id": "7"}, "has no line 7"),
        ({"item": "cup"}, "is mug, the message says cup"),
        ({"quantity": "12"}, "12 units are confirmed, 10 were ordered"),
        ({"price": "2.75"}, "price is 2.75, ordered at 2.5"),
        ({"code": "IQ", "quantity": "4"}, "IQ 4 of 10"),
        ({"code": "IR", "quantity": "0"}, "IR 0 of 10"),
        ({"code": "IB", "quantity": "0"}, "IB 10 of 10"),
    ],
)
def test_an_odd_answer_is_an_exception_of_the_buyer(sent, partner, now, said, word):
    sent.receive(delivery(partner, "855", answer(sent, **said)), partner, now)
    ((owner, reason),) = exceptions(sent)
    assert owner == "buyer"
    assert word in reason
    assert sent.audit() == []


def test_another_supplier_cannot_answer_for_this_one(sent, now, tmp_path):
    stranger = Partner("S2", str(tmp_path / "S2"), "GBP")
    sent.receive(delivery(stranger, "855", answer(sent)), stranger, now)
    ((_, reason),) = exceptions(sent)
    assert "unknown to S2's account" in reason
    assert sent.lines()[0].stage == "sent"


def test_an_envelope_of_somebody_else_is_rejected_and_kept(sent, partner, now, tmp_path):
    body = delivery(Partner("S2", "", "GBP"), "855", answer(sent))
    reception = sent.receive(body, partner, now)
    assert reception.status == "rejected"
    assert "the envelope runs from S2 to STOCKHOUSE" in reception.reason
    (kept,) = sent.store.read(sa.select(inbox))
    assert bytes(kept.body) == body
    assert sent.lines()[0].stage == "sent"


def test_a_test_message_is_not_taken_in_production(sent, partner, now):
    body = x12.write("855", "PR", answer(sent), partner.their, partner.ours, 1, AT, "T").encode()
    assert "the envelope says test" in sent.receive(body, partner, now).reason


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"ISA" + b"*" * 200, b"\xff" * 300, b"ISA" + b"x" * LARGEST],
    ids=["nothing", "a word", "stars", "no text", "too large"],  # and not eight million signs
)
def test_what_is_no_message_is_rejected_and_kept(sent, partner, now, body):
    assert sent.receive(body, partner, now).status == "rejected"
    assert sent.receive(body, partner, now).status == "repeated"
    ((owner, _),) = exceptions(sent)
    assert owner == "EDI desk"


def test_the_same_delivery_twice_is_one_fact(sent, partner, now):
    body = delivery(partner, "855", answer(sent))
    assert sent.receive(body, partner, now).facts == 1
    before = sent.events()
    assert sent.receive(body, partner, now).status == "repeated"
    assert sent.events() == before


def test_contradictory_answers_end_at_the_later_one_in_any_order(sent, partner, now):
    no, yes = (
        delivery(partner, "855", answer(sent, code, units), control)
        for code, units, control in (("IR", "0", 1), ("IA", "10", 2))
    )
    sent.receive(yes, partner, now)
    sent.receive(no, partner, now)
    (document,) = sent.lines()
    assert (document.stage, document.confirmed) == ("acknowledged", 10)


def test_a_refused_need_ordered_again_is_not_revived_by_a_second_thought(sent, line, partner, now):
    sent.receive(delivery(partner, "855", answer(sent, "IR", "0")), partner, now)
    first = answer(sent, "IA", "10")
    assert sent.propose([line("mug", 10)], "run 2", now).new_orders == 1
    sent.receive(delivery(partner, "855", first, 2), partner, now)
    assert sorted(document.stage for document in sent.lines()) == ["refused", "requisition"]
    assert "ordered again since" in exceptions(sent)[-1][1]
    assert sent.audit() == []


def test_more_on_the_way_or_at_the_door_than_ordered_is_an_exception(sent, partner, now):
    sent.receive(delivery(partner, "856", notice(sent, "15")), partner, now)
    (document,) = sent.lines()
    assert document.due_on == "2026-01-24"
    sent.record_receipts([Receipt("GR1", document.order_id, "1", 15, now)], "warehouse", now)
    assert [reason for _, reason in exceptions(sent)] == [
        "15 units are on the way, 10 were ordered",
        "15 units came, 10 were ordered",
    ]


def test_partial_deliveries_add_up_and_the_rest_stays_open(sent, now):
    (document,) = sent.lines()
    receipts = [
        Receipt("GR1", document.order_id, "1", 4, now),
        Receipt("GR2", document.order_id, "1", 3, now, rejected=1),
    ]
    assert sent.record_receipts(receipts, "warehouse", now) == 2
    assert sent.record_receipts(receipts, "warehouse", now) == 0
    (document,) = sent.lines()
    assert (document.stage, document.open_quantity) == ("partially_received", 3)


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "SHP9"},
        {"line_id": "9"},
        {"quantity": -1},
        {"quantity": float("nan")},
        {"rejected": -1},
    ],
)
def test_goods_that_nobody_ordered_are_not_booked(sent, now, change):
    (document,) = sent.lines()
    said = {
        "receipt_id": "GR1",
        "order_id": document.order_id,
        "line_id": "1",
        "quantity": 1.0,
        "received_at": now,
    } | change
    with pytest.raises(LedgerError, match="GR1"):
        sent.record_receipts([Receipt(**said)], "warehouse", now)


def test_a_bill_before_the_goods_waits_and_is_paid_when_they_come(sent, partner, now):
    sent.receive(delivery(partner, "810", invoice(sent)), partner, now)
    (document,) = sent.lines()
    assert document.invoices["INV1"]["reason"] == "invoiced but nothing received"
    sent.record_receipts([Receipt("GR1", document.order_id, "1", 10, now)], "warehouse", now)
    (document,) = sent.lines()
    assert (document.stage, document.invoices["INV1"]["amount"], document.encumbered) == (
        "closed",
        250_000,
        0,
    )


def test_a_second_bill_for_the_same_goods_is_not_paid(sent, partner, now):
    (document,) = sent.lines()
    sent.record_receipts([Receipt("GR1", document.order_id, "1", 10, now)], "warehouse", now)
    for control, number in enumerate(("INV1", "INV2"), start=1):
        sent.receive(delivery(partner, "810", invoice(sent, number), control), partner, now)
    (document,) = sent.lines()
    assert document.invoices["INV1"]["status"] == "payment_proposed"
    assert document.invoices["INV2"]["reason"] == "billed for more than was received"
    assert sent.audit() == []


def test_a_bill_that_comes_again_with_other_figures_is_an_exception(sent, partner, now):
    sent.receive(delivery(partner, "810", invoice(sent)), partner, now)
    sent.receive(delivery(partner, "810", invoice(sent, price="3"), 2), partner, now)
    assert exceptions(sent)[-1] == (
        "accounts payable",
        "invoice INV1 came again with other figures; the first one stands",
    )


def test_charges_beside_the_lines_go_to_accounts_payable(sent, partner, now):
    sent.receive(delivery(partner, "810", invoice(sent, freight=750)), partner, now)
    assert ("accounts payable", "invoice INV1 adds 7.50 in charges to its lines") in exceptions(
        sent
    )


def test_a_bill_in_another_currency_is_not_taken(sent, partner, now):
    sent.receive(delivery(partner, "810", invoice(sent, currency="USD")), partner, now)
    ((owner, reason),) = exceptions(sent)
    assert (owner, sent.lines()[0].invoices) == ("buyer", {})
    assert "is in GBP, the message in USD" in reason


@pytest.mark.parametrize("code", ["855", "810"])
def test_a_negative_price_is_rejected_and_kept(sent, partner, now, code):
    said = answer(sent, price="-2.5") if code == "855" else invoice(sent, price="-2.5")
    reception = sent.receive(delivery(partner, code, said), partner, now)
    assert (reception.status, sent.lines()[0].stage) == ("rejected", "sent")
    assert "below zero" in reception.reason
    assert len(sent.store.read(sa.select(inbox))) == 1


def test_an_order_nobody_placed_is_no_fact(sent, partner, now):
    said = [
        [part if part != sent.lines()[0].order_id else "SHP99999999" for part in segment]
        for segment in notice(sent)
    ]
    assert sent.receive(delivery(partner, "856", said), partner, now).facts == 0
    assert exceptions(sent) == [("buyer", "order SHP99999999 is unknown to S1's account")]
    assert sent.audit() == []


def test_a_file_too_large_is_read_no_further_than_shows_it_and_the_rest_is_heard(
    sent, partner, now
):
    folder = Path(partner.address) / "in"
    folder.mkdir(parents=True)
    with (folder / "1.edi").open("wb") as file:
        file.truncate(50 * LARGEST)
    (folder / "2.edi").write_bytes(delivery(partner, "855", answer(sent)))
    assert [reception.status for reception in sent.collect({"S1": partner}, now).values()] == [
        "rejected",
        "taken",
    ]
    (largest,) = sent.store.read(sa.select(sa.func.max(sa.func.length(inbox.c.body))))
    assert largest[0] == LARGEST + 1


def test_files_in_the_folder_are_taken_once_and_kept(sent, partner, now):
    folder = Path(partner.address) / "in"
    folder.mkdir(parents=True)
    (folder / "1.edi").write_bytes(delivery(partner, "855", answer(sent)))
    (folder / "2.edi").write_text("rubbish")
    assert [reception.status for reception in sent.collect({"S1": partner}, now).values()] == [
        "taken",
        "rejected",
    ]
    assert list(folder.iterdir()) == []
    assert len(list((folder.parent / "taken").iterdir())) == 2
    assert sent.collect({"S1": partner}, now) == {}


def test_receipts_land_as_canonical_rows(sent, now):
    (document,) = sent.lines()
    sent.record_receipts(
        [Receipt("GR1", document.order_id, "1", 4, datetime(2026, 1, 19, 14))], "warehouse", now
    )
    (row,) = sent.canonical_rows()["receipts"].to_dicts()
    assert (row["order_id"], row["quantity"], row["event_at"]) == (
        document.order_id,
        4,
        datetime(2026, 1, 19, 14),
    )
