"""EDIFACT on the wire: pydifact reads what we write, we read what it writes, and nothing mutilated
is taken for a good message."""

from __future__ import annotations

import dataclasses
import time
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement import edifact_wire
from models.procurement.codec import LARGEST, MOST_DELIVERIES, Delivery
from models.procurement.edifact_out import Edifact
from models.procurement.messages import (
    Acknowledgement,
    Invoice,
    MessageError,
    Odd,
    Order,
    OrderedLine,
    Party,
    Received,
    ShipNotice,
)
from models.procurement.x12_out import X12
from tests.procurement import edifact_supplier as supplier

pytestmark = pytest.mark.filterwarnings("ignore:segments.xml not found")

US, THEM, AT = Party("STOCKHOUSE"), Party("S1"), datetime(2026, 1, 5, 8, 30)
LINES = (
    OrderedLine("1", "MUG", 100, 2.5, date(2026, 1, 20)),
    OrderedLine("2", "CUP", 40.5, 0.125, date(2026, 1, 22)),
)
ORDER = Order("SHP00000007", "S1", "DC", date(2026, 1, 5), "GBP", 0, LINES)
ITEMS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]),
    min_size=1,
    max_size=20,
)


def written(order: Order, control: int = 7, usage: str = "P") -> bytes:
    return Edifact().write(order, US, THEM, control, AT, usage)


def read(name: str, said: supplier.Said, **changes: object) -> Delivery:
    return Edifact().read(supplier.wire(name, said, **changes))


def changed(said: supplier.Said, tag: str, *elements: object) -> supplier.Said:
    """A message whose first segment of a tag says something else."""
    place = next(i for i, (name, _) in enumerate(said) if name == tag)
    return [*said[:place], (tag, elements), *said[place + 1 :]]


@settings(max_examples=100, deadline=None)
@given(
    items=st.lists(ITEMS, min_size=1, max_size=3),
    quantity=st.floats(0.001, 1e6).map(lambda x: round(x, 3)),
    cost=st.integers(0, 10**6).map(lambda x: x / 1000),
    control=st.integers(1, 999_999_999),
)
def test_an_order_says_to_another_reader_what_it_said_to_ours(items, quantity, cost, control):
    lines = tuple(
        OrderedLine(str(place), item, quantity, cost, date(2026, 1, 20))
        for place, item in enumerate(items, start=1)
    )
    body = written(dataclasses.replace(ORDER, lines=lines), control)
    theirs, ours = supplier.read(body), edifact_wire.read(body)
    assert theirs["type"] == [["ORDERS"]]
    assert [line[2][0] for line in theirs["LIN"]] == items
    assert {float(said[0][1]) for said in theirs["QTY"]} == {quantity}
    assert {float(said[0][1]) for said in theirs["PRI"]} == {cost}
    assert ["2", str(len(items))] in [said[0] for said in theirs["CNT"]]
    assert (ours.control, ours.messages[0].fault) == (control, "")
    assert [s.get(3) for s in ours.messages[0].segments if s.tag == "LIN"] == [
        item.strip() for item in items
    ]


def test_a_change_names_what_is_dropped_and_a_whole_cancellation_nothing():
    dropped = dataclasses.replace(LINES[1], action="cancel")
    part = dataclasses.replace(ORDER, revision=2, lines=(dropped,), is_whole=False)
    said = supplier.read(written(part))
    assert said["BGM"] == [["230", "SHP00000007-2", "4"]]
    assert said["RFF"] == [[["ON", "SHP00000007"]], [["PP", "SHP00000007-2"]]]
    assert said["LIN"] == [["2", "2", ["CUP", "SA"]]]
    whole = supplier.read(written(dataclasses.replace(part, is_whole=True)))
    assert (whole["BGM"][0][2], "LIN" in whole) == ("1", False)


def test_money_is_in_the_minor_units_of_its_currency():
    for currency, amount in (("GBP", "5.06"), ("JPY", "5"), ("KWD", "5.063")):
        order = dataclasses.replace(ORDER, currency=currency)
        assert supplier.read(written(order))["MOA"][1] == [["203", amount]]
    with pytest.raises(MessageError, match="no currency of ISO 4217"):
        written(dataclasses.replace(ORDER, currency="ZZZ"))


def test_what_edifact_has_no_room_for_is_not_written():
    for order in (
        dataclasses.replace(ORDER, lines=(dataclasses.replace(LINES[0], item_id="x" * 36),)),
        dataclasses.replace(ORDER, lines=(dataclasses.replace(LINES[0], item_id="a\x1bb"),)),
        dataclasses.replace(ORDER, location_id="x" * 176),
    ):
        with pytest.raises(MessageError):
            written(order)
    far = supplier.read(written(dataclasses.replace(ORDER, location_id="a far away place, 7")))
    assert far["NAD"][2] == ["DP", "", "a far away place, 7"]


@settings(max_examples=60, deadline=None)
@given(
    units=st.integers(1, 10**6).map(lambda x: x / 1000),
    cost=st.integers(1, 10**6).map(lambda x: x / 1000),
    freight=st.integers(0, 10**5).map(lambda x: x / 100),
    item=ITEMS,
)
def test_what_a_supplier_says_in_edifact_is_heard_as_it_was_meant(units, cost, freight, item):
    line = OrderedLine("1", item, units, cost, date(2026, 1, 20))
    order = dataclasses.replace(ORDER, lines=(line,))
    text = {"syntax": "UNOW"}
    (said,) = _utf8("ORDRSP", supplier.answer(order), **text).messages
    assert isinstance(said, Acknowledgement)
    (answer,) = said.lines
    assert (answer.line_id, answer.item_id, answer.code) == ("1", item, "IA")
    assert (answer.quantity, answer.unit_cost, answer.due_on) == (units, cost, date(2026, 1, 25))
    (notice,) = _utf8("DESADV", supplier.ship_notice(order), **text).messages
    assert isinstance(notice, ShipNotice)
    assert (notice.lines[0].item_id, notice.lines[0].quantity) == (item, units)
    assert (notice.due_on, notice.lines[0].line_id) == (date(2026, 1, 21), "1")
    (bill,) = _utf8("INVOIC", supplier.invoice(order, freight=freight), **text).messages
    assert isinstance(bill, Invoice)
    assert (bill.charges, bill.lines[0].unit_cost) == (Decimal(str(freight)), cost)
    assert abs(bill.rounding) <= Decimal("0.01")


def _utf8(name: str, said: supplier.Said, syntax: str) -> Delivery:
    return Edifact().read(supplier.wire(name, said).replace(b"UNOC:3", f"{syntax}:4".encode()))


@pytest.mark.parametrize(
    ("action", "units", "code", "promised"),
    [
        ("5", 100, "IA", 100),
        ("3", 100, "DR", 100),
        ("6", 60, "IQ", 60),
        ("7", 0, "IR", 0),
        ("2", 0, "ID", 0),
    ],
)
def test_an_answer_is_heard_line_by_line(action, units, code, promised):
    (said,) = read("ORDRSP", supplier.answer(ORDER, line_1=(action, units))).messages
    first, second = said.lines
    assert (first.code, first.quantity) == (code, promised)
    assert (second.code, second.quantity) == ("IA", 40.5)


def test_an_answer_to_a_change_says_so():
    change = dataclasses.replace(ORDER, revision=1)
    (said,) = read("ORDRSP", supplier.answer(change)).messages
    assert said.is_change
    (whole,) = read("ORDRSP", supplier.answer(dataclasses.replace(ORDER, lines=()))).messages
    assert (whole.rest, whole.lines) == ("IA", ())


ANSWER, NOTICE, BILL = (
    supplier.answer(ORDER),
    supplier.ship_notice(ORDER),
    supplier.invoice(ORDER, freight=4, tax=10),
)


@pytest.mark.parametrize(
    ("name", "said", "why"),
    [
        ("INVOIC", changed(BILL, "CNT", ["2", "3"]), "wrong control total: CNT 2"),
        ("INVOIC", [*BILL[:-3], ("MOA", [["77", "999"]])], "wrong control total: the total"),
        ("INVOIC", changed(BILL, "PRI", ["AAA", "-2.5"]), "line 1 cannot be read: PRI01.2 is -2.5"),
        ("INVOIC", changed(BILL, "QTY", ["47", "9" * 5000]), "5,000 signs long"),
        ("INVOIC", changed(BILL, "QTY", ["47", "NaN"]), "no number"),
        ("INVOIC", changed(BILL, "QTY", ["47", "1_0"]), "no number"),
        ("INVOIC", changed(BILL, "CUX", ["2", "ZZZ", "4"]), "no currency of ISO 4217"),
        ("INVOIC", changed(BILL, "DTM", ["137", "20261340", "102"]), "no day"),
        ("INVOIC", changed(BILL, "DTM", ["137", "2026012", "102"]), "no day"),
        ("INVOIC", changed(BILL, "PRI", ["AAA", "2.5", "", "", "1", "KGM"]), "is a price for KGM"),
        ("INVOIC", changed(BILL, "MOA", ["23", "-4"]), "below zero"),
        ("INVOIC", changed(BILL, "BGM", "384", "INV-1", "9"), "is of kind 384"),
        ("ORDRSP", changed(ANSWER, "LIN", "1", "42", ["MUG", "SA"]), "LIN02.1 is 42"),
        ("ORDRSP", changed(ANSWER, "BGM", "231", "A-1", "5"), "takes back or replaces"),
        ("ORDRSP", changed(ANSWER, "RFF", ["VN", "1"]), "RFF ON is missing"),
        ("ORDRSP", changed(ANSWER, "CNT", ["1", "7"]), "wrong control total: CNT 1"),
        ("ORDRSP", [*ANSWER, ("ALC", ["C"])], "also says what is not read here: ALC C"),
        ("DESADV", changed(NOTICE, "RFF", ["VN", "1"]), "RFF ON is missing before and behind"),
        ("ORDERS", ANSWER, "is none of ORDRSP"),
    ],
)
def test_what_is_odd_is_named_with_its_place_and_nothing_is_guessed(name, said, why):
    try:
        reasons = [m.reason for m in read(name, said).messages if isinstance(m, Odd)]
    except MessageError as error:
        reasons = [str(error)]
    assert any(why in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (b"UNT+", b"UNT+9", "UNT01 says"),
        (b"UNZ+1+5", b"UNZ+1+6", "UNZ02 says 6"),
        (b"UNZ+1+5", b"UNZ+2+5", "UNZ01 says 2"),
        (b"UNOC", b"UNOQ", "no character set"),
        (b"UNOC:3", b"UNOA:3\xe4", "is no UNOA text"),
        (b"D:96A", b"D:01B", "is of D:01B, D:96A is read here"),
        (b"UNZ", b"XXX", "UNB or UNZ is missing"),
        (b"MUG", b"M\x1bG", "control character"),
        (b"UNA:+,? '", b"UNA:::? '", "no usable separators"),
        (b"UNA:+,? '", b"UNX:+,? '", "neither UNA nor UNB"),
        (b"DTM+137", b"UNS'UNT+1+1'DTM+137", "outside any message"),
    ],
)
def test_a_wrong_envelope_is_refused(before, after, why):
    body = supplier.wire("INVOIC", BILL)
    assert before in body
    with pytest.raises(MessageError, match=why):
        Edifact().read(body.replace(before, after, 1))


def test_size_and_separators_are_bounded():
    for body in (b"UNB+" + b"x" * LARGEST, b"UNB+UNOC:3" + b"+" * 2_000_000 + b"'"):
        with pytest.raises(MessageError, match="more than"):
            Edifact().read(body)


@pytest.mark.parametrize("codec", [Edifact(), X12()])
@pytest.mark.parametrize(
    "sign",
    [b"?", b"'", b"?x", b"x", b" ", b"UNZ+1'", b"\nUNB+x", b"UNA:+.? '", b"\nISA*x", b"ISA*"],
)
def test_no_file_takes_long_to_take_apart_and_none_makes_deliveries_without_end(codec, sign):
    body = b"UNB+UNOC:3" + sign * (2_000_000 // len(sign))
    began = time.monotonic()
    pieces = codec.split(body)
    with pytest.raises(MessageError):
        codec.read(pieces[-1])
    assert (b"".join(pieces), len(pieces) <= MOST_DELIVERIES + 1) == (body, True)
    assert time.monotonic() - began < 10  # a tenth of it on a quiet machine; minutes if quadratic


def test_receipts_say_what_was_taken_and_ours_are_heard():
    good = read("INVOIC", BILL)
    (body,) = good.receipts(3, AT, "P")
    assert supplier.read(body)["UCI"] == [["5", "S1", "STOCKHOUSE", "7"]]
    (heard,) = Edifact().read(body).messages
    assert heard == Received(5, True, "")
    assert list(Edifact().read(body).receipts(4, AT, "P")) == []
    odd = supplier.wire("INVOIC", BILL).replace(b"UNT+", b"UNT+9")
    (refusal,) = _receipts(odd)
    assert Edifact().read(refusal).messages == (
        Received(5, False, "UCI 5 S1 STOCKHOUSE 4; UCM 1 INVOIC:D:96A:UN 4"),
    )


def _receipts(body: bytes) -> list[bytes]:
    from models.procurement.edifact_out import receipts

    return list(receipts(edifact_wire.read(body), 3, AT, "P"))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from([supplier.wire("DESADV", NOTICE), supplier.wire("INVOIC", BILL)[9:]]),
        ),
        max_size=5,
    )
)
def test_splitting_loses_no_byte(parts):
    body = b"".join(parts)
    assert b"".join(Edifact().split(body)) == body


@pytest.mark.parametrize("between", [b"", b"\r\n", b"\n\n\x1a", b"\xef\xbb\xbf", b"junk\n"])
@pytest.mark.parametrize("cut", [0, 40, 200])
def test_every_interchange_of_a_file_is_a_delivery_of_its_own(between, cut):
    first, second = supplier.wire("DESADV", NOTICE), supplier.wire("INVOIC", BILL)
    pieces = Edifact().split(first[: len(first) - cut] + (b"\n" if cut else b"") + between + second)
    assert Edifact().read(pieces[-1]).messages
    assert len(pieces) == 2 or between == b"junk\n"


@settings(max_examples=300, deadline=None)
@given(
    body=st.sampled_from(
        [
            supplier.wire(n, s)
            for n, s in zip(("ORDRSP", "DESADV", "INVOIC"), (ANSWER, NOTICE, BILL), strict=True)
        ]
    ),
    place=st.integers(0, 1200),
    noise=st.binary(min_size=1, max_size=6),
    is_inserted=st.booleans(),
)
def test_a_mutilated_message_is_read_or_refused_and_nothing_else(body, place, noise, is_inserted):
    place %= len(body)
    rest = body[place if is_inserted else place + len(noise) :]
    try:
        assert isinstance(Edifact().read(body[:place] + noise + rest), Delivery)
    except MessageError as error:
        assert len(str(error)) < 1000


def test_a_credit_note_names_the_invoice_that_it_takes_back_of():
    said = changed(supplier.invoice(ORDER, "CN-1"), "BGM", "381", "CN-1", "9")
    said.insert(3, ("RFF", [["IV", "INV-1"]]))
    (bill,) = read("INVOIC", said).messages
    assert isinstance(bill, Invoice)
    assert (bill.invoice_id, bill.credits, bill.lines[0].quantity) == ("CN-1", "INV-1", 100)
    (usual,) = read("INVOIC", BILL).messages
    assert isinstance(usual, Invoice) and usual.credits is None


@pytest.mark.parametrize(("name", "said"), [("ORDRSP", ANSWER), ("DESADV", NOTICE)])
def test_a_strange_day_before_the_lines_is_asked_about_and_the_lines_are_taken(name, said):
    strange = ("DTM", [["64", "20260210", "102"]])
    heard, odd = read(name, [*said[:2], strange, *said[2:]]).messages
    assert heard == read(name, said).messages[0]
    assert isinstance(odd, Odd) and "names a kind of day" in odd.reason


@pytest.mark.parametrize("una", [b"UNA:+,+,'", b"UNA-1+,? '", b"UNA"])
def test_separators_that_cannot_be_read_are_one_piece_and_what_follows_another(una):
    body = supplier.wire("INVOIC", BILL)[9:]
    pieces = Edifact().split(una + body)
    assert len(pieces) == 2 and b"".join(pieces) == una + body
    with pytest.raises(MessageError):
        Edifact().read(pieces[0])
    assert Edifact().read(pieces[1]).messages
