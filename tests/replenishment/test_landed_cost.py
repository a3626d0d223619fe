"""Laws of landed cost and of the alternatives: parts add up, and the cheapest way is cheapest in money, timing included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.landed_cost import Alternative, compare_alternatives, landed_cost

money = st.floats(0, 1000)


def test_a_unit_by_hand() -> None:
    # 2 kg at 1.50 a kg is 3.00, by volume 0.01 m3 at 400 is 4.00: the dearer counts. Fuel is up a tenth and a fifth of the rate
    # follows it.
    found = landed_cost(
        np.array([10.0]), weight_kg=np.array([2.0]), freight_per_kg=np.array([1.5]), fuel_share=np.array([0.2]), fuel_index=1.1,
        volume_m3=np.array([0.01]), freight_per_m3=np.array([400.0]), duty_share=0.05, transit_periods=3, holding=0.02,
    )  # fmt: skip
    assert found.freight[0] == pytest.approx(4.0)
    assert found.fuel[0] == pytest.approx(0.08)
    assert found.duty[0] == pytest.approx(0.7)
    assert found.holding_in_transit[0] == pytest.approx(0.06)
    assert found.total[0] == pytest.approx(14.84)


@settings(deadline=None)
@given(money, money, money, st.floats(0, 1), st.floats(0, 3))
def test_parts_add_up_and_dearer_freight_never_lands_cheaper(price: float, weight: float, rate: float, share: float, index: float) -> None:
    def total(per_kg: float) -> float:
        found = landed_cost(
            np.array([price]),
            weight_kg=np.array([weight]),
            freight_per_kg=np.array([per_kg]),
            fuel_share=np.array([share]),
            fuel_index=index,
        )
        assert found.total[0] == pytest.approx(
            found.price[0] + found.freight[0] + found.fuel[0] + found.duty[0] + found.holding_in_transit[0]
        )
        return float(found.total[0])

    assert total(rate + 1) >= total(rate) - 1e-6


def test_a_negative_part_is_refused_by_row() -> None:
    with pytest.raises(ValueError, match="price of row 1 is negative"):
        landed_cost(np.array([1.0, -1.0]), weight_kg=np.zeros(2), freight_per_kg=np.zeros(2), fuel_share=np.zeros(2))


def short_of_stock(shortage: float) -> Situation:
    return Situation(
        on_hand=np.array([4.0]), pipeline=np.zeros((1, 0)), history=np.zeros((1, 0)), paths=np.full((1, 10, 6), 4.0),
        lead_time=np.array([4]), review=1, economics=Economics(np.array([0.1]), np.array([shortage]), np.array([5.0]), np.zeros(1)),
    )  # fmt: skip


def test_expediting_pays_exactly_when_the_lost_sales_it_saves_are_dearer() -> None:
    # Stock covers one week. The normal order comes in week 5; the expedited one in week 2 saves three weeks of four units, 12
    # lost sales.
    ways = [
        Alternative("normal order", np.array([16.0]), np.array([5.0]), np.array([4])),
        Alternative("expedite", np.array([16.0]), np.array([7.0]), np.array([1])),
    ]
    for shortage, best in ((1.0, "normal order"), (9.0, "expedite")):
        table = compare_alternatives(short_of_stock(shortage), ways, np.array([5.0]))
        assert table.filter("is_cheapest")["alternative"].to_list() == [best]
        costs = dict(zip(table["alternative"], table["total_cost"], strict=True))
        # Normal: 12 lost, then 12 left over at the end of week 5. Expedite: 32 dearer; 12, 8, 4, 0 left over.
        assert costs["normal order"] == pytest.approx(12 * shortage + 0.1 * 12)
        assert costs["expedite"] == pytest.approx(32 + 0.1 * (12 + 8 + 4))


def test_no_alternative_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no alternative"):
        compare_alternatives(short_of_stock(1.0), [], np.array([5.0]))
