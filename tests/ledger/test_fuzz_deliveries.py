"""What any document can do to the ledger: messages of every kind and format, cut up and put together
anew, are taken, rejected with a reason, or known already; nothing of them is unforeseen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.procurement import x12
from models.procurement.csv_format import Contract
from models.procurement.formats import reader_of
from models.procurement.messages import Order, OrderedLine, Party
from orchestration.ledger import Ledger, Partner
from tests.ledger.conftest import NOW, order_line
from tests.ledger.test_partner_formats import FORMATS, SHEET
from tests.procurement import cii_supplier, edifact_supplier, ubl_supplier

pytestmark = pytest.mark.filterwarnings("ignore:segments.xml not found")

#: Documents for each format in one run of the tests.
BUDGET = 250
SEPARATORS = re.compile(rb"([+':*~<>\"=;,\n])")
NASTY = [
    *(b"", b"-1", b"0", b"0.0", b"1e308", b"1e400", b"-1e-400", b"9" * 5000, b"NaN", b"Infinity"),
    *(b"\x00", b"\xff\xfe", "\u202e\u0000Ä٣".encode(), b"SHP00000001", b"SHP99999999", b"mug"),
    *(b"20261399", b"2026-02-30", b"99991231", b"00000000", b"EUR", b"JPY", b"ZZZ", b"KGM"),
    *(b"'", b"?", b"*~", b"]]>", b"&#0;", b"&amp;", b'"', b"=1+1", b"true", b"IR", b"381"),
]


def _x12(order: Order) -> list[bytes]:
    said = order.lines
    price = [
        ["IT1", d.line_id, f"{d.quantity:g}", "EA", f"{d.unit_cost:g}", "", "VP", d.item_id]
        for d in said
    ]
    sum_ = sum(round(d.quantity * d.unit_cost, 2) for d in said)
    answers = [
        part
        for d in said
        for part in (
            ["PO1", d.line_id, f"{d.quantity:g}", "EA", f"{d.unit_cost:g}", "", "VP", d.item_id],
            ["ACK", "IA", f"{d.quantity:g}", "EA", "067", "20260125"],
        )
    ]
    shipped = [
        part
        for place, d in enumerate(said, start=3)
        for part in (
            ["HL", str(place), "2", "I"],
            ["LIN", d.line_id, "VP", d.item_id],
            ["SN1", d.line_id, f"{d.quantity:g}", "EA"],
        )
    ]
    bill = [["BIG", "20260122", "RE-1", "20260105", order.order_id], ["CUR", "SE", "GBP"], *price]
    sets = {
        ("855", "PR"): [["BAK", "00", "AD", order.order_id, "20260105"], *answers, ["CTT", "2"]],
        ("856", "SH"): [
            ["BSN", "00", "SHIP-1", "20260120", "0800"],
            ["HL", "1", "", "S"],
            ["HL", "2", "1", "O"],
            ["PRF", order.order_id],
            *shipped,
            ["CTT", str(2 + len(said))],
        ],
        ("810", "IN"): [*bill, ["TDS", f"{sum_ * 100:.0f}"], ["CTT", str(len(said))]],
        ("997", "FA"): [["AK1", "PO", "1"], ["AK9", "A", "1", "1", "1"]],
    }
    ends = (Party("S1"), Party("STOCKHOUSE"))
    at = datetime(2026, 1, 6)
    return [x12.write(*code, said, *ends, 5, at).encode() for code, said in sets.items()]


def _edifact(order: Order) -> list[bytes]:
    form = FORMATS["edifact"]
    freight = edifact_supplier.invoice(order, freight=3, tax=2)
    return [
        form.answer(order),
        form.ship_notice(order),
        form.invoice(order),
        edifact_supplier.wire("INVOIC", freight),
    ]


def _ubl(order: Order) -> list[bytes]:
    form = FORMATS["ubl"]
    whole = ubl_supplier.wire("Invoice", ubl_supplier.invoice(order, freight=3, tax=2))
    return [form.answer(order), form.ship_notice(order), form.invoice(order), whole]


def _cii(order: Order) -> list[bytes]:
    bill, note = cii_supplier.invoice(order), cii_supplier.invoice(order, kind="381", number="G")
    return [bill, note, cii_supplier.paper(a=bill)]


def _csv(order: Order) -> list[bytes]:
    form = FORMATS["csv"]
    return [form.answer(order), form.ship_notice(order), form.invoice(order)]


SAID: dict[str, Callable[[Order], list[bytes]]] = {
    "x12": _x12,
    "edifact": _edifact,
    "ubl": _ubl,
    "cii": _cii,
    "csv": _csv,
}


@st.composite
def cut_up(draw: st.DrawFn, bodies: list[bytes]) -> bytes:
    """A document with up to four things wrong with it."""
    parts = SEPARATORS.split(draw(st.sampled_from(bodies)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(parts) - 1))
        until = place + draw(st.integers(1, 12))
        kind = draw(st.sampled_from(["replace", "drop", "double", "move", "splice", "byte"]))
        if kind == "replace":
            parts[place] = draw(st.sampled_from(NASTY))
        elif kind == "drop":
            parts = [*parts[:place], *parts[until:]] or [b""]
        elif kind == "double":
            parts = [*parts[:until], *parts[place:]]
        elif kind == "move":
            parts = [*parts[until:], *parts[place:until], *parts[:place]]
        elif kind == "splice":
            other = SEPARATORS.split(draw(st.sampled_from(bodies)))
            parts = [*parts[:place], *other[place:]] or [b""]
        else:
            parts[place] += draw(st.binary(min_size=1, max_size=3))
    return b"".join(parts)


@pytest.mark.parametrize("form", list(SAID))
def test_whatever_a_partner_sends_is_taken_rejected_or_known(form: str, tmp_path: Path) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    contract = Contract.of(_sheet()) if form == "csv" else None
    spoken = "x12" if form == "cii" else form
    partner = Partner("S1", str(tmp_path / "S1"), "GBP", spoken, csv=contract)
    ledger.propose([order_line(), order_line("cup", 4, unit_cost=0.125)], "run 1", NOW)
    ledger.approve_within_limits(NOW)
    ledger.send({"S1": partner}, NOW)
    order = _sent(ledger)
    bodies = SAID[form](order)

    @settings(max_examples=BUDGET, suppress_health_check=list(HealthCheck))
    @given(cut_up(bodies))
    def hear(body: bytes) -> None:
        pieces = reader_of(body, partner.reader).split(body)
        assert b"".join(pieces) == body and (all(pieces) or pieces == [b""])
        heard = ledger.receive(body, partner, NOW)
        assert heard.status in ("taken", "rejected", "repeated")
        assert "it could not be taken" not in heard.reason
        assert heard.status != "rejected" or heard.reason

    hear()
    for body in bodies:  # and each as it was meant can still be said
        assert ledger.receive(body, partner, NOW).status in ("taken", "repeated")
    figures = [
        figure
        for d in ledger.lines()
        for one in (*d.invoices.values(), *d.credits.values())
        for figure in (one["quantity"], one["unit_cost"])
    ]
    assert figures and all(math.isfinite(one) and one >= 0 for one in figures)
    assert ledger.audit() == []
    ledger.close()


def _sheet() -> dict:
    import yaml

    return yaml.safe_load(SHEET)["csv"]


def _sent(ledger: Ledger) -> Order:
    found = sorted(ledger.lines(), key=lambda d: d.line_id)
    lines = tuple(
        OrderedLine(d.line_id, d.item_id, d.quantity, d.unit_cost, date(2026, 1, 20)) for d in found
    )
    return Order(found[0].order_id, "S1", "DC", NOW.date(), "GBP", 0, lines)
