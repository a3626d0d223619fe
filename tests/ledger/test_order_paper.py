"""An order on paper says what it is given, whatever that is."""

from __future__ import annotations

import io
from datetime import date

import pytest
from pypdf import PdfReader

from models.procurement.messages import Order, OrderedLine
from orchestration.ledger.order_paper import paper

DAY = date(2026, 1, 20)
TITLE = "Purchase order P1, change 2"


@pytest.mark.parametrize(
    "written", ["#panic()", "$x$ *b* _i_", "= heading", "<label>", "@ref", "\\u{41}", "a" * 500]
)
def test_paper_says_what_a_name_says_and_obeys_nothing(written: str) -> None:
    """Fifty lines of it, the same bytes again, in the currency's own coins."""
    lines = tuple(OrderedLine(str(i), "-" + written, 3, 1.5, DAY, text=written) for i in range(50))
    order = Order("P1", written, written, DAY, "JPY", 2, lines, terms=written)
    pdf = paper(order, TITLE, written)
    assert pdf == paper(order, TITLE, written)
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
    found = "".join("".join(pages).split())
    assert found.count("".join(written.split())[:40]) >= 100
    assert "Total250JPY" in found and "page2of" in found
