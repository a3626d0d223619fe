"""One odd line is a person's, the lines beside it are taken; what has a meaning is read or asked
about; no poison stops the rest."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from models.procurement import x12
from models.procurement.documents import in_money
from models.procurement.x12 import Party
from orchestration.ledger import Ledger, Partner, Receipt
from orchestration.ledger.schema import inbox

NOW = datetime(2024, 7, 19)
ITEMS = {"A1": (189, 4), "A2": (70, 5), "A3": (48, 6), "A4": (28, 7), "A5": (7, 8), "A6": (228, 9)}
ORDER = "SHP00000007"
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
GROUPS = {"855": "PR", "865": "CA", "856": "SH", "810": "IN", "997": "FA"}


@pytest.fixture
def partner(tmp_path: Path) -> Partner:
    return Partner("S1", str(tmp_path / "S1"), "EUR")


@pytest.fixture
def sent(ledger: Ledger, line, partner) -> Ledger:
    """One order of six lines lies with supplier S1."""
    said = {"review_period": date(2024, 7, 19), "due_on": date(2024, 7, 27)}
    plan = [
        line(item, units, unit_cost=float(cost), **said) for item, (units, cost) in ITEMS.items()
    ]
    ledger.propose(plan, "run 1", NOW)
    ledger.approve_within_limits(NOW)
    ledger.send({"S1": partner}, NOW)
    assert {document.order_id for document in ledger.lines()} == {ORDER}
    return ledger


def delivery(
    code: str, segments: list[str], control: int = 5, at: datetime = NOW, sender: str = "S1"
) -> bytes:
    """Segments as they stand on paper, in an envelope."""
    body = [segment.split("*") for segment in segments]
    return x12.write(
        code, GROUPS[code], body, Party(sender), Party("STOCKHOUSE"), control, at
    ).encode()


def answer(
    *odd: str,
    of: str = "",
    head: str = f"BAK*00*AC*{ORDER}*20240719",
    before: tuple[str, ...] = (),
    numbers=None,
) -> list[str]:
    """An answer that accepts every line; the line of item `of` says something else."""
    segments = [head, *before]
    for place, (item, (units, cost)) in enumerate(ITEMS.items(), start=1):
        if numbers is None or place in numbers:
            accepted = (f"PO1*{place}*{units}*EA*{cost}**VP*{item}", f"ACK*IA*{units}*EA")
            segments += odd if item == of else accepted
    return segments


def stages(ledger: Ledger) -> dict[str, str]:
    return {document.item_id: document.stage for document in ledger.lines()}


def exceptions(ledger: Ledger) -> list[tuple[str, str]]:
    return [
        (e.payload["owner"], e.payload["reason"]) for e in ledger.events() if e.kind == "excepted"
    ]


@pytest.mark.parametrize(
    ("odd", "word"),
    [
        (
            ("PO1*2*70*EA*5**VP*A2", "ACK*BP*40*EA*068*20240805", "ACK*IB*30*EA*068*20240905"),
            "BP, accepted in part",
        ),
        (("PO1*2*70*EA*5**VP*A2", "ACK*IF*70*EA"), "IF, on hold"),
        (("PO1*2*70*EA*5**VP*A2", "ACK*R1*70*EA"), "R1, rejected, no contract item"),
        (("PO1*2*70*EA*5**VP*A2", "ACK*ZQ*70*EA"), "ZQ, no answer this house knows"),
        (("PO1*2*70*EA*5**VP*A2", "ACK"), "ACK01 is missing"),
        (("PO1*2*70*EA*5**VP*A2",), "no ACK segment"),
        (("PO1*2*6*CA*60**VP*A2", "ACK*IA*6*CA"), "is in 'case', it was ordered in 'piece'"),
        (("PO1*2*70*EA*5**VP*A2", "ACK*IA*6*CA"), "ACK03 is CA, the line is in EA"),
        (("PO1*2*many*EA*5**VP*A2", "ACK*IA*70*EA"), "'many', no number"),
        (("PO1*2*70*EA*-5**VP*A2", "ACK*IA*70*EA"), "below zero"),
        (("PO1*2*70*EA*1E400**VP*A2", "ACK*IA*70*EA"), "beyond any quantity or price"),
        (("PO1*2*70*EA*5**VP*A2", "ACK*IA*70*EA*067*20241399"), "no day as YYYYMMDD"),
        (
            ("PO1*2*70*EA*5**VP*A2", "ACK*IA*70*EA", "DTM*063*20240901"),
            "a kind of day that is not read",
        ),
        (("PO1*9*70*EA*5**VP*A2", "ACK*IA*70*EA"), "has no line 9"),
        (("PO1*2*70*EA*5**VP*B9", "ACK*IA*70*EA"), "is A2, the message says B9"),
    ],
)
def test_an_odd_line_of_an_answer_goes_to_the_buyer_and_the_other_five_are_taken(
    odd, word, sent, partner
):
    reception = sent.receive(delivery("855", answer(*odd, of="A2")), partner, NOW)
    assert (reception.status, reception.facts) == ("taken", 5)
    assert stages(sent) == {item: "sent" if item == "A2" else "acknowledged" for item in ITEMS}
    ((owner, reason),) = exceptions(sent)
    assert owner == "buyer"
    assert word in reason
    assert sent.audit() == []


def test_a_line_that_is_not_numbered_is_known_by_its_item(sent, partner):
    sent.receive(
        delivery("855", answer("PO1**70*EA*5**VP*A2", "ACK*IA*70*EA", of="A2")), partner, NOW
    )
    assert set(stages(sent).values()) == {"acknowledged"}


@pytest.mark.parametrize("segment", ["DTM*067*20240930", "DTM*068*20240930", "DTM*017*20240930"])
@pytest.mark.parametrize("place", ["head", "line", "ACK"])
def test_a_promised_day_is_heard_wherever_it_stands(segment, place, sent, partner):
    _, kind, day = segment.split("*")
    segments = answer(before=(segment,) if place == "head" else ())
    if place == "line":
        segments = [
            part for s in segments for part in ((s, segment) if s.startswith("ACK") else (s,))
        ]
    elif place == "ACK":
        segments = [f"{s}*{kind}*{day}" if s.startswith("ACK") else s for s in segments]
    sent.receive(delivery("855", segments), partner, NOW)
    assert {document.due_on for document in sent.lines()} == {"2024-09-30"}


def test_the_day_of_a_line_goes_before_the_day_of_the_whole(sent, partner):
    odd = ("PO1*2*70*EA*5**VP*A2", "ACK*IA*70*EA*067*20240801", "DTM*067*20240803")
    sent.receive(delivery("855", answer(*odd, of="A2", before=("DTM*067*20240930",))), partner, NOW)
    days = {document.item_id: document.due_on for document in sent.lines()}
    assert (days["A1"], days["A2"]) == ("2024-09-30", "2024-08-03")


@pytest.mark.parametrize(
    ("code", "segments", "owner", "word"),
    [
        (
            "855",
            answer("PO1*2*70*EA*5**VP*A2", "ACK*IA*70*EA", "SCH*70*EA***068*20240901", of="A2"),
            "buyer",
            "SCH 70 EA",
        ),
        ("855", answer(before=("MSG*this item is discontinued",)), "buyer", "discontinued"),
        ("855", answer(before=("SAC*C*D240***750",)), "buyer", "SAC C D240"),
        ("855", [f"BAK*01*AC*{ORDER}*20240719"], "buyer", "takes back or replaces"),
        ("855", [f"BAK*00*AH*{ORDER}*20240719"], "buyer", "as a whole is AH"),
        ("856", ["BSN*01*SHIP1*20240720*0900"], "buyer", "takes back or replaces"),
        (
            "810",
            [f"BIG*20240728*I1*20240719*{ORDER}****01", "IT1*1*5*EA*4**VP*A1", "TDS*2000"],
            "accounts payable",
            "purpose 01",
        ),
    ],
)
def test_what_is_not_read_is_asked_about(code, segments, owner, word, sent, partner):
    assert sent.receive(delivery(code, segments), partner, NOW).status == "taken"
    ((who, reason),) = exceptions(sent)
    assert who == owner
    assert word in reason
    assert all(not document.invoices and not document.shipments for document in sent.lines())
    is_answered = code == "855" and any(segment.startswith("PO1") for segment in segments)
    assert set(stages(sent).values()) == ({"acknowledged"} if is_answered else {"sent"})


@pytest.mark.parametrize(
    ("status", "lines", "stage"),
    [
        ("AC", (), "acknowledged"),
        ("AE", (2,), "acknowledged"),
        ("RJ", (), "refused"),
        ("RD", (), "refused"),
    ],
)
def test_an_answer_to_the_whole_is_the_answer_to_every_line_it_does_not_name(
    status, lines, stage, sent, partner
):
    sent.receive(
        delivery("855", answer(head=f"BAK*00*{status}*{ORDER}*20240719", numbers=lines)),
        partner,
        NOW,
    )
    assert set(stages(sent).values()) == {stage}


@pytest.mark.parametrize(
    ("total", "status", "asked"),
    [
        (15001, "taken", False),
        (15000, "taken", False),
        (15002, "taken", True),
        (15003, "rejected", True),
    ],
)
def test_a_total_rounded_otherwise_is_for_the_tolerance_and_a_wrong_one_is_refused(
    total, status, asked, sent, partner
):
    lines = [
        f"IT1*{n}*10*EA*{price}**VP*A{n}"
        for n, price in ((1, "4.0004"), (2, "5.0004"), (3, "6.0004"))
    ]
    bill = [f"BIG*20240728*INV1*20240719*{ORDER}", *lines, f"TDS*{total}"]
    assert sent.receive(delivery("810", bill), partner, NOW).status == status
    assert sum(bool(document.invoices) for document in sent.lines()) == (
        3 if status == "taken" else 0
    )
    totals = [reason for _, reason in exceptions(sent) if "total" in reason]
    assert bool(totals) is asked


def test_a_bill_for_two_orders_is_a_bill_for_each(sent, line, partner):
    sent.propose([line("B1", 10, location_id="UK")], "run 2", NOW)
    sent.approve_within_limits(NOW)
    sent.send({"S1": partner}, NOW)
    (other,) = [document for document in sent.lines() if document.item_id == "B1"]
    bill = [
        "BIG*20240728*INV1*20240719",
        "IT1*1*10*EA*4**VP*A1",
        f"REF*PO*{ORDER}",
        f"IT1*1*10*EA*2.5**VP*B1*PO*{other.order_id}",
        "IT1*3*1*EA*1**VP*A3",
        "TDS*6600",
    ]
    assert sent.receive(delivery("810", bill), partner, NOW).facts == 2
    billed = {
        document.item_id: document.invoices["INV1"]["quantity"]
        for document in sent.lines()
        if document.invoices
    }
    assert billed == {"A1": 10, "B1": 10}
    assert exceptions(sent)[0] == (
        "accounts payable",
        "invoice INV1 names no order for 1 of its lines",
    )


def test_a_bill_with_a_line_in_cases_or_without_figures_is_taken_without_it(sent, partner):
    bill = [
        f"BIG*20240728*INV1*20240719*{ORDER}",
        "IT1*1*10*EA*4**VP*A1",
        "IT1*2*2*CA*50**VP*A2",
        "TDS*14000",
    ]
    sent.receive(delivery("810", bill), partner, NOW)
    bill = [
        f"BIG*20240728*INV2*20240719*{ORDER}",
        "IT1*3*10*EA*6**VP*A3",
        "IT1*4*some*EA*7**VP*A4",
        "TDS*13000",
    ]
    sent.receive(delivery("810", bill, 6), partner, NOW)
    assert {document.item_id for document in sent.lines() if document.invoices} == {"A1", "A3"}
    assert {owner for owner, _ in exceptions(sent)} == {"accounts payable"}
    assert [
        word
        for word in ("in 'case'", "'some', no number", "total cannot be checked")
        if word not in str(exceptions(sent))
    ] == []


@pytest.mark.parametrize("odd", ["LIN*2*UP*012345678905", "LIN*2*EN*4006381333931", "LIN*2"])
def test_a_ship_notice_that_names_an_item_by_its_bar_code_is_asked_about_and_the_rest_taken(
    odd, sent, partner
):
    notice = [
        "BSN*00*SHIP1*20240720*0900",
        "DTM*017*20240724",
        "HL*1**S",
        "HL*2*1*O",
        f"PRF*{ORDER}",
        "HL*3*2*I",
        "LIN*1*VP*A1",
        "SN1*1*189*EA",
        "HL*4*2*I",
        odd,
        "SN1*2*70*EA",
        "HL*5*2*I",
        "LIN*3*VP*A3",
        "SN1*3*4*CA",
        "HL*6*2*I",
        "LIN*4*VP*A4",
        "SN1*4*28*EA",
    ]
    sent.receive(delivery("856", notice), partner, NOW)
    assert {document.item_id for document in sent.lines() if document.shipments} == {"A1", "A4"}
    assert [owner for owner, _ in exceptions(sent)] == ["buyer", "buyer"]


def test_a_ship_notice_that_comes_again_with_other_figures_is_asked_about(sent, partner):
    for control, units in enumerate((189, 100), start=1):
        notice = ["BSN*00*SHIP1*20240720*0900", f"PRF*{ORDER}", "LIN*1*VP*A1", f"SN1*1*{units}*EA"]
        sent.receive(delivery("856", notice, control), partner, NOW)
    assert exceptions(sent) == [
        ("buyer", "shipment SHIP1 came again with 100 units, 189 before; the first stands")
    ]


REFUSAL = ("PO1*1*189*EA*4**VP*A1", "ACK*IR*0*EA")


@pytest.mark.parametrize(
    ("first", "second", "stage", "asked"),
    [
        # numbers begin again: time tells
        ((900, "2024-07-20T08:00"), (3, "2024-07-21T08:00"), "refused", False),
        ((999_999_999, "2024-07-20T08:00"), (1, "2024-07-20T08:01"), "refused", False),
        # nobody can tell: a person does
        ((900, "2024-07-20T08:00"), (3, "2024-07-20T08:00"), "acknowledged", True),
        ((5, "2024-07-20T08:00"), (6, "2024-07-19T08:00"), "acknowledged", True),
        # overtaken on the way
        ((5, "2024-07-20T08:00"), (4, "2024-07-19T08:00"), "acknowledged", False),
        ((5, "2024-07-20T08:00"), (6, "2024-07-20T08:00"), "refused", False),
    ],
)
def test_the_newer_of_two_answers_is_told_by_time_and_number_and_asked_about_where_they_disagree(
    first, second, stage, asked, sent, partner
):
    for (control, at), odd in (
        (first, ("PO1*1*189*EA*4**VP*A1", "ACK*IA*189*EA")),
        (second, REFUSAL),
    ):
        body = delivery(
            "855", answer(*odd, of="A1", numbers=(1,)), control, datetime.fromisoformat(at)
        )
        assert sent.receive(body, partner, NOW).status == "taken"
    assert stages(sent)["A1"] == stage
    assert (
        any("which one is newer cannot be told" in reason for _, reason in exceptions(sent))
        is asked
    )
    assert sent.audit() == []


@pytest.mark.parametrize("between", [b"", b"\r\n", b"\n\n\x1a", b"\xef\xbb\xbf", b"junk\n"])
def test_every_interchange_of_a_file_is_a_delivery_of_its_own(between, sent, partner):
    two = [
        delivery("855", answer(numbers=n), control)
        for control, n in ((5, (1, 2, 3)), (6, (4, 5, 6)))
    ]
    reception = sent.receive(two[0].rstrip() + between + two[1], partner, NOW)
    assert reception.status == "taken"
    assert set(stages(sent).values()) == {"acknowledged"}
    bodies = [bytes(row.body) for row in sent.store.read(sa.select(inbox))]
    assert len(b"".join(bodies)) == len(two[0].rstrip() + between + two[1])
    assert sent.receive(two[0].rstrip() + between + two[1], partner, NOW).status == "repeated"


@pytest.mark.parametrize("cut", [60, 120, 200, 300])
def test_an_interchange_cut_short_does_not_spoil_the_next(cut, sent, partner):
    first, second = (
        delivery("855", answer(numbers=n), control)
        for control, n in ((5, (1, 2, 3)), (6, (4, 5, 6)))
    )
    reception = sent.receive(first[:cut] + b"\n" + second, partner, NOW)
    assert reception.status == "taken"
    assert "interchange 1 of 2" in reception.reason
    assert sum(stage == "acknowledged" for stage in stages(sent).values()) == 3


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([delivery("997", ["AK1*PO*1", "AK9*A*1*1*1"], n) for n in (1, 2)]),
        )
    )
)
def test_splitting_loses_no_byte(parts):
    body = b"".join(parts)
    assert b"".join(x12.split(body)) == body


def test_a_transaction_set_that_cannot_be_read_is_named_and_the_others_are_taken(sent, partner):
    text = delivery("855", answer()).decode()
    head, rest = text.split("ST*855*0001~", 1)
    body, tail = rest.split("SE*", 1)
    tail = tail.split("~", 1)[1]
    sets = f"ST*824*0001~\nBGN*11*X~\nSE*3*0001~\nST*855*0002~{body}SE*{body.count('~') + 2}*0002~\nST*855*0003~\nSE*99*0003~"
    message = (head + sets + tail).replace("GE*1*", "GE*3*")
    assert sent.receive(message.encode(), partner, NOW).status == "taken"
    assert set(stages(sent).values()) == {"acknowledged"}
    assert [owner for owner, _ in exceptions(sent)] == ["EDI desk", "EDI desk"]


POISON = {
    "997 of 20 digits": delivery("997", ["AK1*PO*" + "9" * 20, "AK9*A*1*1*1"]),
    "997 of 5,000 digits": delivery("997", ["AK1*PO*" + "9" * 5000, "AK9*A*1*1*1"]),
    "997 never sent": delivery("997", ["AK1*PO*888888888", "AK9*A*1*1*1"]),
    "empty REF": delivery("855", [*answer(), "REF"]),
    "empty ACK": delivery("855", [f"BAK*00*AC*{ORDER}", "PO1*1*189*EA*4**VP*A1", "ACK"]),
    "price of 1E400": delivery(
        "855", answer("PO1*1*189*EA*1E400**VP*A1", "ACK*IA*189*EA", of="A1", numbers=(1,))
    ),
    "price of 1E-400000": delivery(
        "855", answer("PO1*1*189*EA*1E-400000**VP*A1", "ACK*IA*189*EA", of="A1", numbers=(1,))
    ),
    "quantity of 1E400": delivery(
        "810", [f"BIG*20240720*I1*20240719*{ORDER}", "IT1*1*1E400*EA*4**VP*A1", "TDS*2500"]
    ),
    "quantity of NaN": delivery(
        "810", [f"BIG*20240720*I1*20240719*{ORDER}", "IT1*1*NaN*EA*4**VP*A1", "TDS*2500"]
    ),
    "price of 9E11 for 9E11": delivery(
        "810", [f"BIG*20240720*I1*20240719*{ORDER}", "IT1*1*9E11*EA*9E11**VP*A1", "TDS*1"]
    ),
    "total of 5,000 digits": delivery(
        "810", [f"BIG*20240720*I1*20240719*{ORDER}", "IT1*1*1*EA*4**VP*A1", "TDS*" + "9" * 5000]
    ),
    "count of 5,000 digits": delivery("855", [*answer(), "CTT*" + "9" * 5000]),
    "day of another script": delivery(
        "855", answer("PO1*1*189*EA*4**VP*A1", "ACK*IA*189*EA*067*٢٠٢٤٠٩٣٠", of="A1")
    ),
    "control number of 1e30": delivery("855", answer()).replace(b"000000005", b"1e30     "),
    "NUL in an item": delivery("855", answer()).replace(b"A1", b"A\x001"),
    "NUL in a code": delivery("855", answer()).replace(b"ST*855", b"ST*8\x0055"),
    "half a character": delivery("855", answer()).replace(b"A1", b"\xed\xa0\x80"),
    "order of 4,000 characters": delivery(
        "855", ["BAK*00*AC*" + "X" * 4000, "PO1*1*189*EA*4**VP*A1", "ACK*IA*189*EA"]
    ),
    "item of 4,000 characters": delivery(
        "855", answer(f"PO1*1*189*EA*4**VP*{'x' * 4000}", "ACK*IA*189*EA", of="A1", numbers=(1,))
    ),
    "shipment of 4,000 characters": delivery(
        "856", ["BSN*00*" + "S" * 4000, f"PRF*{ORDER}", "LIN*1*VP*A1", "SN1*1*189*EA"]
    ),
    "nothing": b"",
    "blanks": b"  \n\x00",
    "noise": bytes(range(256)),
    "text": b"good day to you",
    "an envelope alone": b"ISA" + b"*" * 103,
}


@pytest.mark.parametrize("name", POISON)
def test_every_message_ends_as_taken_or_rejected_and_the_next_partner_is_heard(
    name, sent, line, partner, tmp_path
):
    other = Partner("S2", str(tmp_path / "S2"), "EUR")
    partners = {"S1": partner, "S2": other}
    sent.propose([line("jar", from_id="S2")], "run 2", NOW)
    sent.approve_within_limits(NOW)
    sent.send(partners, NOW)
    (jar,) = [document for document in sent.lines() if document.item_id == "jar"]
    good = delivery(
        "855",
        [f"BAK*00*AC*{jar.order_id}*20240719", "PO1*1*10*EA*2.5**VP*jar", "ACK*IA*10*EA"],
        sender="S2",
    )
    for place, body in (
        ("S1/in/a.edi", POISON[name]),
        ("S1/in/b.edi", delivery("855", answer(), 9)),
        ("S2/in/c.edi", good),
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    heard = {path.name: reception.status for path, reception in sent.collect(partners, NOW).items()}
    assert heard.pop("a.edi") in ("taken", "rejected")
    assert heard == {"b.edi": "taken", "c.edi": "taken"}
    assert stages(sent)["jar"] == "acknowledged"
    assert sent.collect(partners, NOW) == {}
    assert sent.audit() == []


def test_what_nobody_foresaw_is_rejected_with_its_name_and_the_rest_is_heard(
    sent, partner, monkeypatch
):
    from models.procurement import x12_in

    def broken(transaction: x12.TransactionSet):
        raise ZeroDivisionError("nobody thought of this \x00")

    monkeypatch.setitem(x12_in.READERS, "997", broken)
    folder = Path(partner.address) / "in"
    folder.mkdir(parents=True)
    (folder / "1.edi").write_bytes(delivery("997", ["AK1*PO*1", "AK9*A*1*1*1"]))
    (folder / "2.edi").write_bytes(delivery("855", answer()))
    assert [r.status for r in sent.collect({"S1": partner}, NOW).values()] == ["rejected", "taken"]
    assert exceptions(sent)[0] == (
        "EDI desk",
        (
            "the delivery was rejected: it could not be taken: ZeroDivisionError: nobody thought "
            "of "
            "this ?"
        ),
    )
    assert sent.audit() == []


@pytest.mark.parametrize("fault", ["another's folder", "a wrong party"])
def test_what_was_rejected_is_taken_when_it_is_mended_and_offered_again(
    fault, sent, partner, tmp_path
):
    body = delivery("855", answer())
    wrong = (
        Partner("S2", str(tmp_path / "S2"), "EUR")
        if fault == "another's folder"
        else Partner("S1", "", "EUR", party=Party("ACME"))
    )
    assert [sent.receive(body, wrong, NOW).status for _ in range(2)] == ["rejected", "repeated"]
    assert len(exceptions(sent)) == 1
    assert sent.receive(body, partner, NOW).status == "taken"
    assert set(stages(sent).values()) == {"acknowledged"}
    assert sent.receive(body, partner, NOW).status == "repeated"
    assert sent.audit() == []


@pytest.mark.parametrize("odd", ["link", "link to nowhere", "pipe", "second name"])
def test_a_file_that_is_none_is_not_read_and_holds_nobody_back(odd, sent, partner, tmp_path):
    folder, secret = Path(partner.address) / "in", tmp_path / "secret"
    folder.mkdir(parents=True)
    secret.write_text("root:x:0:0")
    if odd == "pipe":
        os.mkfifo(folder / "1.edi")
    elif odd == "second name":
        os.link(secret, folder / "1.edi")
    else:
        (folder / "1.edi").symlink_to(secret if odd == "link" else tmp_path / "nowhere")
    (folder / "2.edi").write_bytes(delivery("855", answer()))
    assert [r.status for r in sent.collect({"S1": partner}, NOW).values()] == ["unread", "taken"]
    assert [bytes(row.body) for row in sent.store.read(sa.select(inbox))] == [
        delivery("855", answer())
    ]
    assert [owner for owner, _ in exceptions(sent)] == ["EDI desk"]
    assert [r.status for r in sent.collect({"S1": partner}, NOW).values()] == ["unread"]
    assert len(exceptions(sent)) == 1


@pytest.mark.parametrize("kind", ["in", "taken"])
def test_a_folder_that_is_a_link_or_a_file_is_named_and_the_next_partner_is_heard(
    kind, sent, line, partner, tmp_path
):
    place = Path(partner.address)
    (place / "in").mkdir(parents=True)
    if kind == "in":
        (place / "in").rmdir()
    (place / kind).symlink_to(tmp_path)
    if kind == "taken":
        (place / "in" / "1.edi").write_bytes(delivery("855", answer()))
    other = Partner("S2", str(tmp_path / "S2"), "EUR")
    (tmp_path / "S2" / "in").mkdir(parents=True)
    (tmp_path / "S2" / "in" / "2.edi").write_text("rubbish")
    heard = list(sent.collect({"S1": partner, "S2": other}, NOW).values())
    assert [r.status for r in heard] == ["unread" if kind == "in" else "taken", "rejected"]
    assert "EDI desk" in {owner for owner, _ in exceptions(sent)}


@pytest.mark.shared
@pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")
@pytest.mark.parametrize(
    ("case", "acknowledged", "asked"),
    [
        ("edi_two_interchanges/two.edi", 6, 0),
        ("edi_unknown_line_code/bp.edi", 5, 1),
        ("edi_line_in_cases/case.edi", 5, 1),
        ("edi_promised_day_in_dtm/dtm.edi", 6, 0),
        ("mail_unheard_after_failed_run/ok.edi", 6, 0),
    ],
)
def test_the_answers_that_failed_once_are_taken(case, acknowledged, asked, sent, partner):
    assert sent.receive((CASES / case).read_bytes(), partner, NOW).status == "taken"
    assert sum(stage == "acknowledged" for stage in stages(sent).values()) == acknowledged
    assert [owner for owner, _ in exceptions(sent)] == ["buyer"] * asked
    if "dtm" in case:
        assert {document.due_on for document in sent.lines()} == {"2024-09-30"}


def credit(units: float, price: float, of: str = "INV1", number: str = "CN1") -> list[str]:
    """A credit note for line 1; what is given back stands with a sign in its total."""
    named = [f"REF*OI*{of}"] if of else []
    total = round(units * price * 100)
    lines = [f"IT1*1*{units:g}*EA*{price:g}**VP*A1", f"TDS*-{total}"]
    return [f"BIG*20240730*{number}*20240719*{ORDER}***CR", *named, *lines]


BILLED = [f"BIG*20240728*INV1*20240719*{ORDER}", "IT1*1*189*EA*4**VP*A1", "TDS*75600"]


def bill_of(ledger: Ledger):
    """The line of the first item, whose bill it is."""
    return next(document for document in ledger.lines() if document.item_id == "A1")


@pytest.mark.parametrize(
    ("notes", "payable", "asked"),
    [
        ([credit(9, 4)], 720, ""),  # goods that did not come
        ([credit(189, 0.5)], 661.5, ""),  # a wrong price put right
        ([credit(9, 4, of="")], 720, ""),  # of the only invoice there is
        ([credit(9, 4), credit(9, 4)], 720, ""),  # twice the same is once
        ([credit(9, 4), credit(10, 4, number="CN2")], 680, ""),
        # more than was billed is a person's, and changes nothing
        ([credit(190, 4)], 756, "takes back 190 units, billed were 189"),
        ([credit(189, 5)], 756, "takes back 945.00, billed were 756.00"),
        ([credit(180, 4), credit(10, 4, number="CN2")], 36, "takes back 190 units"),
        ([credit(9, 4), credit(8, 4)], 720, "came again with other figures"),
        ([credit(9, 4, of="INV9")], 756, "is of invoice INV9, not here yet"),
    ],
)
def test_a_credit_note_lessens_what_its_invoice_is_paid(notes, payable, asked, sent, partner):
    for control, body in enumerate([BILLED, *notes], start=10):
        assert sent.receive(delivery("810", body, control=control), partner, NOW).status == "taken"
    assert in_money(bill_of(sent).payable("INV1")) == payable
    assert [asked in reason for _, reason in exceptions(sent)] == ([True] if asked else [])
    assert sent.audit() == []


def test_a_credit_note_that_comes_before_its_invoice_waits_for_it(sent, partner):
    sent.receive(delivery("810", credit(9, 4), control=10), partner, NOW)
    sent.receive(delivery("810", BILLED, control=11), partner, NOW)
    assert in_money(bill_of(sent).payable("INV1")) == 720
    sent.receive(delivery("810", credit(9, 4, of="INV2", number="CN2"), control=12), partner, NOW)
    small = [f"BIG*20240729*INV2*20240719*{ORDER}", "IT1*1*8*EA*4**VP*A1", "TDS*3200"]
    sent.receive(delivery("810", small, control=13), partner, NOW)
    assert bill_of(sent).payable("INV2") == 0
    assert "takes back 9 units, billed were 8" in exceptions(sent)[-1][1]


def test_a_credit_note_makes_a_bill_agree_with_what_came(sent, partner):
    """Billed 189, come 180, given back 9: what came is proposed for payment, and what is given back
    after that is a person's to set off."""
    sent.receive(delivery("810", BILLED, control=10), partner, NOW)
    sent.record_receipts([Receipt("R1", ORDER, bill_of(sent).line_id, 180, NOW)], "bay", NOW)
    assert bill_of(sent).invoices["INV1"]["status"] == "exception"
    sent.receive(delivery("810", credit(9, 4), control=11), partner, NOW)
    invoice = bill_of(sent).invoices["INV1"]
    assert (invoice["status"], in_money(invoice["amount"])) == ("payment_proposed", 720)
    sent.receive(delivery("810", credit(5, 4, number="CN2"), control=12), partner, NOW)
    assert "takes 20.00 back of invoice INV1, whose payment is proposed already" in str(
        exceptions(sent)
    )
    assert sent.audit() == []
