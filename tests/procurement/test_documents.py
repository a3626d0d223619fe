"""An order line is what its events add up to, and its stage says what may be done to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.documents import (
    APPLY,
    PARTS,
    Document,
    Event,
    beyond_its_invoice,
    fold,
    is_order_doubtful,
    is_overtaken,
    is_repeat,
    refusal,
)
from models.procurement.supplier_sale_terms import Sale

REQUESTED = {
    "world": "w",
    "kind": "purchase",
    "intent_key": "w|mug",
    "item_id": "mug",
    "location_id": "DC",
    "review_period": "2026-01-05",
    "run_id": "r1",
    "reason": "short",
    "from_id": "S1",
    "quantity": 10.0,
    "due_on": "2026-01-20",
    "unit_cost": 2.5,
    "currency": "EUR",
    "sale": {"unit": "case", "holds": 5.0},
}
NUMBERED = {"order_id": "SHP1", "line_id": "1"}
APPROVED = [("requested", REQUESTED), ("approved", NUMBERED)]
SENT = [*APPROVED, ("queued", {"revision": 0}), ("sent", {"revision": 0})]
CHANGED = {"quantity": 8.0, "due_on": "2026-01-25", "unit_cost": 2.5}
ANSWER = {"code": "IA", "quantity": 9.0, "unit_cost": 2.5, "due_on": "2026-01-22", "control": 5}
SHIPPED = ("shipped", {"shipment_id": "A1", "quantity": 6.0, "due_on": "2026-01-19"})
RECEIVED = (
    "received",
    {"receipt_id": "R1", "quantity": 6.0, "rejected": 1.0, "received_at": "2026-01-19"},
)
INVOICED = ("invoiced", {"invoice_id": "I1", "quantity": 6.0, "unit_cost": 2.5})


def after(*events: tuple[str, dict[str, Any]]) -> Document:
    """A line after some events, each a day later than the one before it."""
    made = [
        Event(n, "d", n, kind, f"actor {n}", f"2026-01-{n:02d}T06:00", f"2026-02-{n:02d}", payload)
        for n, (kind, payload) in enumerate(events, start=1)
    ]
    return fold(made)["d"]


def test_a_need_is_kept_word_by_word_and_revised_until_it_is_firm() -> None:
    made = after(("requested", REQUESTED))
    assert {name: getattr(made, name) for name in REQUESTED} == REQUESTED
    assert (made.proposer, made.proposed_at, made.asked_on) == (
        "actor 1",
        "2026-02-01",
        "2026-01-20",
    )
    assert (made.is_live, made.stage, made.open_quantity) == (True, "requisition", 0.0)
    assert made.sold == Sale("case", 5.0)
    terms = {"from_id": "S2", "quantity": 3.0, "due_on": "2026-01-09", "unit_cost": 4.0}
    revised = after(
        ("requested", REQUESTED), ("revised", {**terms, "reason": "less", "run_id": "r2"})
    )
    assert {name: getattr(revised, name) for name in terms} == terms
    assert (revised.reason, revised.run_id, revised.currency) == ("less", "r2", "EUR")
    assert (revised.sale, revised.proposer, revised.asked_on) == ({}, "actor 2", "2026-01-09")
    assert revised.proposed_at == "2026-02-02"
    firm = after(("requested", REQUESTED), ("firmed", NUMBERED))
    assert (firm.is_firm, firm.order_id, firm.line_id, firm.open_quantity) == (
        True,
        "SHP1",
        "1",
        10.0,
    )
    old = {name: said for name, said in REQUESTED.items() if name not in ("currency", "sale")}
    assert (after(("requested", old)).currency, after(("requested", old)).sale) == ("", {})


def test_an_order_is_sent_changed_and_answered() -> None:
    sent = after(*SENT)
    assert (sent.approver, sent.approved_on, sent.order_id) == ("actor 2", "2026-01-02", "SHP1")
    assert (sent.queued, sent.sent, sent.sent_at, sent.sent_known_at) == (
        0,
        0,
        "2026-02-04",
        "2026-01-04T06:00",
    )
    answered = after(*SENT, ("acknowledged", ANSWER))
    assert (answered.confirmed, answered.due_on, answered.ordered) == (9.0, "2026-01-22", 9.0)
    assert answered.acknowledgement == ANSWER and answered.asked_on == "2026-01-20"
    changed = after(*SENT, ("acknowledged", ANSWER), ("changed", CHANGED))
    assert (changed.quantity, changed.due_on, changed.asked_on) == (8.0, "2026-01-25", "2026-01-25")
    assert (changed.revision, changed.confirmed, changed.ordered) == (1, None, 8.0)
    again = after(
        *SENT,
        ("changed", CHANGED),
        ("chased", {}),
        ("queued", {"revision": 1}),
        ("sent", {"revision": 1}),
        ("queued", {"revision": 0}),
        ("sent", {"revision": 0}),
    )
    assert (again.queued, again.sent, again.sent_at, again.exceptions) == (1, 1, "2026-02-04", 1)
    assert (again.is_chased, again.sent_known_at) == (False, "2026-01-10T06:00")
    assert after(*SENT, ("chased", {})).is_chased


def test_a_cancellation_is_a_change_only_where_the_supplier_may_know_the_order() -> None:
    assert after(*SENT, ("cancelled", {})).revision == 1
    assert after(*APPROVED, ("queued", {"revision": 0}), ("cancelled", {})).revision == 1
    assert after(*APPROVED, ("cancelled", {})).revision == 0


@pytest.mark.parametrize(
    ("events", "stage"),
    [
        ([("requested", REQUESTED)], "requisition"),
        (APPROVED, "approved"),
        (SENT, "sent"),
        ([*SENT, ("acknowledged", ANSWER)], "acknowledged"),
        ([*SENT, ("acknowledged", ANSWER), SHIPPED], "shipped"),
        ([*SENT, SHIPPED, RECEIVED], "partially_received"),
        ([*SENT, ("acknowledged", ANSWER | {"quantity": 6.0}), RECEIVED], "received"),
        ([*SENT, ("acknowledged", ANSWER | {"code": "IR", "quantity": 0.0})], "refused"),
        ([*SENT, SHIPPED, ("acknowledged", ANSWER | {"code": "IR", "quantity": 0.0})], "shipped"),
        (
            [*SENT, RECEIVED, ("acknowledged", ANSWER | {"code": "IR", "quantity": 9.0})],
            "partially_received",
        ),
        ([*APPROVED, ("cancelled", {}), ("acknowledged", ANSWER)], "cancelled"),
        ([*APPROVED, ("closed", {})], "closed"),
        ([("requested", REQUESTED), ("rejected", {})], "rejected"),
        ([("requested", REQUESTED), ("withdrawn", {})], "withdrawn"),
        ([("stopped", {})], "desk"),
    ],
)
def test_the_stage_is_read_off_the_facts(events: list[Any], stage: str) -> None:
    line = after(*events)
    assert line.stage == stage
    assert line.is_live == (bool(line.intent_key) and stage not in ("withdrawn", "refused"))


def test_a_line_is_closed_when_all_that_came_is_billed_and_proposed_for_payment() -> None:
    all_of_it = ("received", {"receipt_id": "R2", "quantity": 4.0, "received_at": "2026-01-18"})
    here = [*SENT, RECEIVED, all_of_it]
    line = after(*here)
    assert (line.received, line.stage, line.arrived_at) == (10.0, "received", "2026-01-19")
    paid = ("payment_proposed", {"invoice_id": "I1", "amount": 15 * PARTS})
    assert after(*here, INVOICED, paid).stage == "received"  # 6 of 10 are billed
    rest = ("invoiced", {"invoice_id": "I2", "quantity": 4.0, "unit_cost": 2.5})
    assert after(*here, INVOICED, paid, rest).stage == "received"
    in_hundredths = ("payment_proposed", {"invoice_id": "I2", "amount_cents": 1000})
    both = after(*here, INVOICED, paid, rest, in_hundredths)
    assert both.stage == "closed" and both.invoices["I2"]["amount"] == 10 * PARTS
    moved = [("requested", REQUESTED | {"kind": "transfer"}), ("approved", NUMBERED)]
    assert after(*moved, RECEIVED, all_of_it).stage == "closed"
    assert after(*moved, RECEIVED).stage == "partially_received"
    nothing = after(*SENT, ("acknowledged", ANSWER | {"quantity": 0.0}))
    assert nothing.stage == "acknowledged"  # nothing came, though all of nothing did


@given(st.permutations([SHIPPED, RECEIVED, INVOICED, ("acknowledged", ANSWER), ("chased", {})]))
def test_facts_add_up_to_the_same_in_any_order_and_once(facts: list[Any]) -> None:
    once, twice = after(*SENT, *facts), after(*SENT, *facts, *facts)
    for line in (once, twice):
        assert (line.received, line.invoiced, line.confirmed) == (6.0, 6.0, 9.0)
        assert line.shipments == {"A1": 6.0} and line.receipts == {"R1": [6.0, 1.0]}
        assert line.invoices["I1"] == {"quantity": 6.0, "unit_cost": 2.5, "status": "received"}
        assert line.open_quantity == 3.0 and line.stage == "partially_received"
        assert line.encumbered == (22.5 - 15) * PARTS


def test_budget_is_held_for_what_is_to_be_billed_and_never_below_nothing() -> None:
    assert after(("requested", REQUESTED)).encumbered == 0
    assert after(*APPROVED).encumbered == 25 * PARTS
    assert after(*APPROVED, ("acknowledged", ANSWER)).encumbered == int(22.5 * PARTS)
    assert after(*SENT, RECEIVED, ("cancelled", {})).encumbered == 15 * PARTS  # it will be billed
    assert after(*SENT, RECEIVED, ("cancelled", {})).open_quantity == 0
    more = ("invoiced", {"invoice_id": "I2", "quantity": 90.0, "unit_cost": 2.5})
    assert after(*SENT, more).encumbered == 0
    moved = [("requested", REQUESTED | {"kind": "transfer"}), ("approved", NUMBERED)]
    assert after(*moved).encumbered == 0 and after(*moved).open_quantity == 10.0
    over = ("received", {"receipt_id": "R9", "quantity": 12.0, "received_at": "2026-01-19"})
    assert after(*SENT, over).open_quantity == 0.0


def credit(name: str, quantity: float, unit_cost: float, invoice: str = "I1") -> Any:
    said = {"credit_id": name, "invoice_id": invoice, "quantity": quantity, "unit_cost": unit_cost}
    return "credited", said


def test_a_credit_at_the_invoice_s_price_takes_units_back_and_another_takes_off_the_price() -> None:
    line = after(*SENT, INVOICED, credit("C1", 2.0, 2.5), credit("C2", 4.0, 0.25))
    assert line.bills == {"I1": (4.0, pytest.approx(2.25))} and line.invoiced == 4.0
    assert line.payable("I1") == (15 - 5 - 1) * PARTS
    elsewhere = after(*SENT, INVOICED, credit("C1", 2.0, 2.5, "I2"))
    assert elsewhere.bills == {"I1": (6.0, 2.5)} and elsewhere.payable("I1") == 15 * PARTS
    whole = after(*SENT, INVOICED, credit("C1", 6.0, 2.5), credit("C2", 1.0, 0.5))
    assert whole.bills == {"I1": (0.0, 2.5)} and whole.payable("I1") == 0
    twice = after(*SENT, INVOICED, credit("C1", 2.0, 2.5), credit("C1", 3.0, 2.5))
    assert twice.bills == {"I1": (4.0, 2.5)}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ((4.0, 2.5), ""),
        ((4.1, 2.5), "takes back 6.1 units, billed were 6"),
        ((10.0, 1.0), ""),
        ((10.01, 1.0), "takes back 15.01, billed were 15.00"),
        ((10.004, 1.0), ""),
    ],
)
def test_no_more_is_taken_back_than_was_billed(more: tuple[float, float], why: str) -> None:
    line = after(*SENT, INVOICED, credit("C1", 2.0, 2.5), credit("C2", 99.0, 9.0, "I2"))
    assert beyond_its_invoice(line, "I1", credit("C3", *more)[1]) == why
    assert beyond_its_invoice(line, "I1") == ""
    assert beyond_its_invoice(line, "I2", credit("C3", 9.0, 9.0, "I2")[1]) == ""  # not come yet


ONE = {"control": 7, "written_at": "2026-01-05T10:00"}


@pytest.mark.parametrize(
    ("answer", "is_older", "is_doubtful"),
    [
        ({"control": 8, "written_at": "2026-01-05T10:01"}, False, False),
        ({"control": 6, "written_at": "2026-01-05T09:59"}, True, False),
        ({"control": 6, "written_at": "2026-01-05T10:01"}, False, False),
        ({"control": 8, "written_at": "2026-01-05T09:59"}, True, True),
        ({"control": 6, "written_at": "2026-01-05"}, True, True),  # to the day they are the same
        ({"control": 8, "written_at": "2026-01-05"}, False, False),
        ({"control": 8, "written_at": "2026-01-04"}, True, True),
        ({"control": 6}, True, True),
        ({"control": 8}, False, False),
        ({"control": 7, "written_at": "2026-01-05T09:59"}, True, False),
        ({"control": 7, "written_at": "2026-01-05T10:00"}, False, False),
    ],
)
def test_of_two_answers_the_one_written_later_counts_and_doubt_is_said(
    answer: dict[str, Any], is_older: bool, is_doubtful: bool
) -> None:
    assert is_overtaken(ONE, answer) is is_older
    assert is_order_doubtful(ONE, answer) is is_doubtful
    assert is_overtaken({}, answer) is False and is_order_doubtful({}, answer) is False
    line = after(
        *SENT, ("acknowledged", ANSWER | ONE), ("acknowledged", ANSWER | answer | {"quantity": 1.0})
    )
    if "written_at" in answer:
        assert line.confirmed == (9.0 if is_older else 1.0)


MAY = {
    "requisition": {"revised", "withdrawn", "firmed", "approved", "rejected"},
    "requisition and firm": {"approved", "rejected"},
    "approved": {"changed", "cancelled", "closed", "queued"},
    "sent": {"changed", "cancelled", "closed"},
    "acknowledged": {"changed", "cancelled", "closed"},
    "shipped": {"cancelled", "closed"},
    "partially_received": {"cancelled", "closed"},
    "received": {"closed"},
    "cancelled": {"queued"},
    "desk": {"requested"},
}
LINES = {
    "requisition": [("requested", REQUESTED)],
    "requisition and firm": [("requested", REQUESTED), ("firmed", NUMBERED)],
    "approved": APPROVED,
    "sent": SENT,
    "acknowledged": [*SENT, ("acknowledged", ANSWER)],
    "shipped": [*SENT, SHIPPED],
    "partially_received": [*SENT, RECEIVED],
    "received": [*SENT, ("received", RECEIVED[1] | {"quantity": 10.0})],
    "cancelled": [*SENT, ("cancelled", {})],
    "desk": [("stopped", {})],
}
ASKED = set.union(*MAY.values()) | {"sent"}


@pytest.mark.parametrize("state", MAY)
def test_what_may_be_done_to_a_line_follows_from_where_it_stands(state: str) -> None:
    line = after(*LINES[state])
    for kind in ASKED:
        said = refusal(line, kind)
        assert (said is None) == (kind in MAY[state]), (state, kind)
        if said:
            assert said == f"d is {state}: it cannot be {kind} now"
    for kind in set(APPLY) - ASKED:  # facts from outside are never refused
        assert refusal(line, kind) is None
    handed = after(*APPROVED, ("queued", {"revision": 0}))
    assert refusal(handed, "sent") is None and refusal(handed, "queued")


def test_a_fact_heard_again_is_a_repeat_and_a_changed_answer_is_none() -> None:
    line = after(
        *SENT, SHIPPED, RECEIVED, INVOICED, credit("C1", 1.0, 2.5), ("acknowledged", ANSWER)
    )
    for kind, payload in (SHIPPED, RECEIVED, INVOICED, credit("C1", 1.0, 2.5)):
        assert is_repeat(line, kind, payload)
        assert not is_repeat(line, kind, {name: f"{said}+" for name, said in payload.items()})
    assert is_repeat(line, "acknowledged", ANSWER | {"control": 99})
    for name in ("code", "quantity", "unit_cost", "due_on"):
        assert not is_repeat(line, "acknowledged", ANSWER | {name: "other"})
    assert not is_repeat(after(*SENT), "acknowledged", ANSWER)
    anew = after(*SENT, ("acknowledged", ANSWER), ("changed", CHANGED))
    assert not is_repeat(anew, "acknowledged", ANSWER)  # a change has to be answered again
    assert not is_repeat(line, "sent", {})
    assert after(*SENT, ("undelivered", {}), ("excepted", {})).exceptions == 2
    judged = ("judged", {"invoice_id": "I1", "status": "check", "reason": "dear"})
    assert after(*SENT, INVOICED, judged).invoices["I1"]["status"] == "check"
    assert after(*SENT, INVOICED, judged).invoices["I1"]["reason"] == "dear"
