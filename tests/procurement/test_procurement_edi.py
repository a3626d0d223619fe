"""X12 on the wire: what we write reads back, and no mutilated message is taken for a good one."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement import x12, x12_out
from models.procurement.codec import LARGEST
from models.procurement.messages import MessageError, Order, OrderedLine, Received
from models.procurement.x12 import Party

US, THEM, AT = Party("STOCKHOUSE"), Party("S1"), datetime(2026, 1, 5, 8, 30)
LINES = (
    OrderedLine("1", "MUG", 100, 2.5, date(2026, 1, 20)),
    OrderedLine("2", "CUP", 40.5, 0.125, date(2026, 1, 22)),
)
ORDER = Order("SHP00000007", "S1", "DC", date(2026, 1, 5), "GBP", 0, LINES)

INVOICE = [
    ["BIG", "20260122", "INV-9", "20260105", "SHP00000007"],
    ["CUR", "SE", "GBP"],
    ["IT1", "1", "100", "EA", "2.5", "", "VP", "MUG"],
    ["IT1", "2", "40.5", "EA", "0.125", "", "VP", "CUP"],
    ["TDS", "25506"],
    ["CTT", "2"],
]
ANSWER = [
    ["BAK", "00", "AD", "SHP00000007", "20260105"],
    ["PO1", "1", "100", "EA", "2.5", "", "VP", "MUG"],
    ["ACK", "IQ", "60", "EA", "067", "20260125"],
    ["ACK", "IB", "0", "EA", "067", "20260210"],
    ["CTT", "1"],
]


def wire(code: str, segments: list[list[str]]) -> bytes:
    return x12.write(code, "IN", segments, THEM, US, 5, AT).encode()


def changed(segments: list[list[str]], tag: str, position: int, value: str) -> list[list[str]]:
    return [[*s[:position], value, *s[position + 1 :]] if s[0] == tag else s for s in segments]


def test_an_order_says_every_line_once_with_its_totals():
    text = x12_out.write(ORDER, US, THEM, 7, AT)
    assert text[:106].endswith("*0*P*>~")
    interchange = x12.read(text.encode())
    (transaction,) = interchange.sets
    assert (interchange.control, transaction.code, transaction.group_control) == (7, "850", 7)
    found = [s for s in transaction.segments if s[0] == "PO1"]
    assert found == [
        ["PO1", "1", "100", "EA", "2.5", "", "VP", "MUG"],
        ["PO1", "2", "40.5", "EA", "0.125", "", "VP", "CUP"],
    ]
    assert transaction.segments[-1] == ["CTT", "2", "140.5"]


def test_a_change_names_what_is_dropped_and_a_whole_cancellation_nothing():
    dropped = dataclasses.replace(LINES[1], action="cancel")
    part = x12_out.write(
        dataclasses.replace(ORDER, revision=2, lines=(dropped,), is_whole=False), US, THEM, 8, AT
    )
    whole = x12_out.write(dataclasses.replace(ORDER, revision=3, lines=(dropped,)), US, THEM, 9, AT)
    assert "BCH*04*SA*SHP00000007**2*20260105~" in part and "POC*2*DI*" in part
    assert "BCH*01*SA*SHP00000007**3*20260105~" in whole and "POC" not in whole


@settings(max_examples=150, deadline=None)
@given(
    item=st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]),
        min_size=1,
        max_size=20,
    ),
    quantity=st.floats(0.001, 1e9).map(lambda x: round(x, 3)),
    cost=st.integers(0, 10**9).map(lambda x: x / 1000),
    control=st.integers(1, 999_999_999),
)
def test_any_item_id_survives_the_wire(item, quantity, cost, control):
    order = dataclasses.replace(
        ORDER, lines=(OrderedLine("1", item, quantity, cost, date(2026, 1, 20)),)
    )
    interchange = x12.read(x12_out.write(order, US, THEM, control, AT).encode())
    (said,) = [s for s in interchange.sets[0].segments if s[0] == "PO1"]
    assert (said[7], float(said[2]), float(said[4]), interchange.control) == (
        item,
        quantity,
        cost,
        control,
    )


@pytest.mark.parametrize(
    ("party", "control", "why"),
    [
        (Party("A" * 16), 1, "1 to 15 characters"),
        (Party(""), 1, "1 to 15"),
        (THEM, 10**9, "nine digits"),
    ],
)
def test_what_no_envelope_can_carry_is_refused(party, control, why):
    with pytest.raises(MessageError, match=why):
        x12_out.write(ORDER, US, party, control, AT)


def test_an_answer_in_pieces_is_one_answer_with_the_gravest_code():
    _, (said,) = x12_out.read(wire("855", ANSWER))
    (line,) = said.lines
    assert (line.code, line.quantity, line.due_on) == ("IB", 100, date(2026, 2, 10))


@pytest.mark.parametrize(
    ("code", "segments", "why"),
    [
        ("810", changed(INVOICE, "TDS", 1, "25504"), "TDS01 says 255.04, it should be 255.06"),
        ("810", changed(INVOICE, "CTT", 1, "3"), "CTT01 says 3, it should be 2"),
        ("810", changed(INVOICE, "IT1", 4, "-2.5"), "IT104 is -2.5, below zero"),
        ("810", changed(INVOICE, "IT1", 2, "NaN"), "IT102 is 'NaN', no number"),
        ("810", changed(INVOICE, "IT1", 2, "many"), "IT102 is 'many', no number"),
        ("810", changed(INVOICE, "BIG", 1, "20261301"), "no day as YYYYMMDD"),
        ("810", [s for s in INVOICE if s[0] != "TDS"], "0 TDS segments"),
        ("855", ANSWER[1:], "a 855 begins with BAK"),
        ("832", ANSWER, "transaction set 832 is none of"),
        ("997", [["AK1", "PO", "1"]], "AK9 is missing"),
    ],
)
def test_a_wrong_message_is_refused_by_segment_and_element(code, segments, why):
    with pytest.raises(MessageError, match=why):
        x12_out.read(wire(code, segments))


@pytest.mark.parametrize(
    ("currency", "units", "price", "total", "rounding"),
    [
        ("GBP", "3", "1.2345", "370", "0"),
        ("KWD", "3", "1.2345", "370", "-0.004"),  # a line of 3.704, and X12 writes hundredths
        ("KWD", "3", "1.2345", "372", None),
        ("JPY", "3", "33.4", "10000", "0"),
        ("JPY", "3", "33.4", "10200", None),
        ("CLF", "9E11", "9E11", "1", None),  # 29 digits, refused and no crash
    ],
)
def test_a_total_is_held_in_the_minor_unit_of_its_currency(currency, units, price, total, rounding):
    bill = [
        *INVOICE[:1],
        ["CUR", "SE", currency],
        ["IT1", "1", units, "EA", price, "", "VP", "MUG"],
        ["TDS", total],
        ["CTT", "1"],
    ]
    if rounding is None:
        with pytest.raises(MessageError, match="TDS01 says"):
            x12_out.read(wire("810", bill))
    else:
        (invoice,) = x12_out.read(wire("810", bill))[1]
        assert invoice.rounding == Decimal(rounding)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_read_but_never_a_crash(place, value):
    body = bytearray(wire("810", INVOICE))
    body[place % len(body)] = value
    try:
        x12_out.read(bytes(body))
    except MessageError as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_noise_is_refused(noise):
    with pytest.raises(MessageError):
        x12_out.read(noise)


@given(st.integers(3, 400))
def test_a_truncated_message_is_refused(cut):
    body = wire("810", INVOICE)
    with pytest.raises(MessageError):
        x12_out.read(body[: max(len(body) - cut, 0)])


def test_an_oversized_file_is_refused_unread():
    with pytest.raises(MessageError, match="more than"):
        x12_out.read(b"ISA" + b"x" * LARGEST)


def test_receipts_say_whether_our_message_was_taken():
    refused = [
        ["AK1", "PO", "7"],
        ["AK2", "850", "0001"],
        ["AK5", "R", "5"],
        ["AK9", "R", "1", "1", "0"],
    ]
    _, (said,) = x12_out.read(wire("997", refused))
    assert said == Received(7, False, "AK5 R 5")
    _, (known,) = x12_out.read(_with_ta1("TA1*000000007*260105*0830*R*025"))
    assert known.is_accepted


def _with_ta1(segment: str) -> bytes:
    head = wire("997", [["AK1", "PO", "7"], ["AK9", "A", "1", "1", "1"]]).decode().split("~\n")[0]
    return f"{head}~\n{segment}~\nIEA*0*000000005~\n".encode()
