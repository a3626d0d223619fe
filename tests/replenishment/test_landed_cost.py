"""Laws of landed cost: parts add up, a lane after a lane adds its own, and dearer freight never
lands cheaper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.landed_cost import landed_cost

money = st.floats(0, 1000)


def test_a_unit_by_hand() -> None:
    # 2 kg at 1.50 a kg is 3.00, by volume 0.01 m3 at 400 is 4.00: the dearer counts. Fuel is up a
    # tenth and a fifth of the rate
    found = landed_cost(
        np.array([10.0]),
        weight_kg=np.array([2.0]),
        freight_per_kg=np.array([1.5]),
        fuel_share=np.array([0.2]),
        fuel_index=1.1,
        volume_m3=np.array([0.01]),
        freight_per_m3=np.array([400.0]),
        duty_share=0.05,
        transit_periods=3,
        holding=0.02,
    )
    assert found.freight[0] == pytest.approx(4.0)
    assert found.fuel[0] == pytest.approx(0.08)
    assert found.duty[0] == pytest.approx(0.7)
    assert found.holding_in_transit[0] == pytest.approx(0.06)
    assert found.total[0] == pytest.approx(14.84)


@settings(deadline=None)
@given(money, money, money, st.floats(0, 1), st.floats(0, 3))
def test_parts_add_up_and_dearer_freight_never_lands_cheaper(
    price: float, weight: float, rate: float, share: float, index: float
) -> None:
    def total(per_kg: float) -> float:
        found = landed_cost(
            price, weight_kg=weight, freight_per_kg=per_kg, fuel_share=share, fuel_index=index
        )
        assert found.total == pytest.approx(
            found.price + found.freight + found.fuel + found.duty + found.holding_in_transit
        )
        return float(found.total)

    assert total(rate + 1) >= total(rate) - 1e-6


@given(money, money, money, money)
def test_a_second_lane_adds_what_it_costs(
    price: float, weight: float, first: float, second: float
) -> None:
    there = landed_cost(
        price,
        weight_kg=weight,
        freight_per_kg=first,
        fuel_share=0.2,
        fuel_index=1.5,
        duty_share=0.1,
    )
    onward = landed_cost(
        0.0, weight_kg=weight, freight_per_kg=second, fuel_share=0.3, fuel_index=1.5
    )
    assert (there + onward).total == pytest.approx(there.total + onward.total)
    assert (there + onward).price == price


def test_a_negative_part_is_refused_by_row() -> None:
    with pytest.raises(ValueError, match="price of row 1 is negative"):
        landed_cost(
            np.array([1.0, -1.0]),
            weight_kg=np.zeros(2),
            freight_per_kg=np.zeros(2),
            fuel_share=np.zeros(2),
        )
