"""A unit has one name, a code in every format, and nothing is lost on the way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.supplier_sale_terms import Sale
from models.procurement.unit_codes import CODES, FAMILIES, PIECE, code_of, is_same, unit_read

AMOUNTS = st.floats(0.001, 1e6).map(lambda value: round(value, 4)).filter(bool)


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_code_means_the_unit_it_was_written_for(name: str, family: str) -> None:
    assert unit_read(code_of(name, family), family) == name  # type: ignore[arg-type]


def test_a_unit_no_list_has_is_mutually_defined_and_no_other_units_name() -> None:
    assert code_of("ve", "x12") == code_of("ve", "ubl") == "ZZ"
    assert is_same("ZZ", "ve")
    assert not is_same("ZZ", "case")
    assert not is_same(PIECE, "case")


@given(AMOUNTS, AMOUNTS, st.sampled_from([1, 6, 12, 0.04, 1000, 7.5]), AMOUNTS)
def test_what_was_ordered_comes_back_as_it_was(
    quantity: float, cost: float, holds: float, rate: float
) -> None:
    for sale in (Sale(), Sale("case", holds), Sale("case", holds, "EUR", rate)):
        assert sale.counted(sale.sold(quantity), quantity) == quantity
        assert sale.cost(sale.price(cost), cost) == cost
        half = sale.counted(sale.sold(quantity) / 2, quantity)
        assert half == pytest.approx(quantity / 2, abs=1e-8)
