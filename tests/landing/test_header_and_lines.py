"""A purchase order's lines may leave their date and place to the order's header."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.landing import World
from orchestration.landing.contract.errors import ContractError
from tests.landing.company import Company

LINES = "{order_id: po, line_id: line, item_id: item, quantity: qty%s}"
CONTRACT = """
sources:
  po_lines:
    silo: erp
    path: po_lines.csv
    key: [po, line]
    known_after: 1 day
    into: [purchase_orders: %s]
  po_headers:
    silo: erp
    path: po_headers.csv
    key: [po]
    known_after: 1 day
    into: [orders: %s]
"""
HEADERS = "{order_id: po, event_at: ordered, supplier_id: supplier, location_id: warehouse}"


def test_lines_without_date_and_place_land_and_wait_for_their_header(tmp_path: Path) -> None:
    company = Company(tmp_path, CONTRACT % (LINES % "", HEADERS))
    company.write("po_headers.csv", "po,supplier,warehouse,ordered\n1,acme,s1,2024-01-05\n")
    company.write("po_lines.csv", "po,line,item,qty\n1,1,a,50\n1,2,b,20\n")
    assert (company.land().new_rows, company.rows("SELECT * FROM raw.quarantine")) == (3, [])
    assert company.rows(
        "SELECT item_id, location_id, event_at, known_at, known_lag FROM raw.purchase_orders "
        "ORDER BY item_id"
    ) == [(item, None, None, None, company.rows("SELECT interval 1 day")[0][0]) for item in "ab"]


@settings(deadline=None)
@given(
    on_lines=st.sets(st.sampled_from(["location_id", "event_at"])),
    on_headers=st.sets(st.sampled_from(["location_id", "supplier_id"])),
)
def test_what_neither_lines_nor_headers_say_is_named(
    tmp_path_factory: pytest.TempPathFactory, on_lines: set[str], on_headers: set[str]
) -> None:
    own = "".join(f", {name}: x" for name in sorted(on_lines))
    said = "".join(f", {name}: y" for name in sorted(on_headers))
    heads = f"{{order_id: po, event_at: ordered{said}}}"
    folder = tmp_path_factory.mktemp("world")
    company = Company(folder, CONTRACT % (LINES % own, heads))
    company.con.close()
    if "location_id" in on_lines | on_headers:
        World.load(company.data)
    else:
        with pytest.raises(ContractError, match="needs `location_id`"):
            World.load(company.data)
