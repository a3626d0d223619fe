"""Counter-measures: sized on what would be lost, carried out as orders, and judged in pairs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics
from models.replenishment.landed_cost import LandedCost
from models.replenishment.supply_options import Logistics, SupplyOption, SupplyOptions
from models.twin.counter_measures import NOTHING, Line, best, carried_out, priced, propose
from models.twin.event_effects import Future, Tariffs
from models.twin.network import Network
from models.twin.resilience import time_to_survive

PERIODS = 20
LANES = pl.DataFrame(
    {
        "from_id": ["S1", "S1", "DC", "DC"],
        "to_id": ["DC", "DC", "A", "B"],
        "item_id": [None] * 4,
        "mode": ["sea", "air", "road", "road"],
        "transit_days": [9.0, 2.0, 1.0, 1.0],
        "freight_per_kg": [0.1, 2.0, 0.1, 0.1],
        "fuel_share": [0.3] * 4,
        "fuel_index": [1.0] * 4,
    },
    schema_overrides={"item_id": pl.String},
)
TERMS = pl.DataFrame(
    {
        "item_id": ["x", "x"],
        "supplier_id": ["S1", "S2"],
        "lead_time_days": [10.0, 4.0],
        "moq": [0.0, 5.0],
        "order_multiple": [1.0, 5.0],
        "from_quantity": [0.0, 0.0],
        "unit_cost": [5.0, 6.0],
    }
)


def rows() -> pl.DataFrame:
    common = {"item_id": "x", "weight_kg": 1.0, "unit_cost": 5.0, "holding_cost": 0.01}
    common |= {"freight_per_unit": 0.1, "moq": 0.0, "order_multiple": 1.0}
    dc = {"location_id": "DC", "kind": "purchase", "from_id": "S1", "lead_time_days": 10.0}
    shops = [
        {"location_id": name, "kind": "transfer", "from_id": "DC", "lead_time_days": 1.0}
        for name in ("A", "B")
    ]
    frame = pl.DataFrame([common | one for one in (dc, *shops)])
    return frame.with_columns(lead_time_periods=pl.col("lead_time_days").cast(pl.Int64))


def network() -> Network:
    economics = Economics(np.full(3, 0.01), np.full(3, 8.0), np.full(3, 5.0), np.zeros(3))
    return Network(np.array([10, 1, 1]), economics, np.array([-1, 0, 0]), review=7)


def options(surplus: list[float]) -> SupplyOptions:
    return SupplyOptions.of(rows(), np.array(surplus), Logistics.of(LANES, TERMS, 1.0))


def lost(at: int, periods: slice, units: float) -> np.ndarray:
    found = np.zeros((6, 3, PERIODS))
    found[:, at, periods] = units
    return found


def test_each_way_becomes_the_measure_that_it_is_in_the_size_of_what_would_be_lost() -> None:
    made = propose(
        options([0, 0, 7]), network(), lost(1, slice(12, 14), 6.0), np.array([50.0, 0, 9])
    )
    by_name = {
        (name, line.row): (line.way.from_id, line.quantity)
        for name, lines in made.items()
        for line in lines
    }
    assert by_name == {
        ("pre_build", 1): ("DC", 12.0),
        ("transfer", 1): ("B", 7.0),
        ("re_route", 1): ("S1", 12.0),
        ("pre_build", 0): ("S1", 12.0),
        ("expedite", 0): ("S1", 12.0),
        ("substitute_supplier", 0): ("S2", 15.0),
    }


def test_what_comes_too_late_or_costs_more_than_it_saves_is_not_proposed() -> None:
    soon = propose(options([0, 0, 0]), network(), lost(1, slice(2, 3), 6.0), np.array([0.0, 0, 0]))
    assert soon == {}
    cheap = Economics(np.full(3, 0.01), np.full(3, 0.5), np.full(3, 5.0), np.zeros(3))
    poor = Network(np.array([10, 1, 1]), cheap, np.array([-1, 0, 0]), review=7)
    found = propose(options([0, 0, 0]), poor, lost(1, slice(14, 16), 6.0), np.zeros(3))
    assert set(found) <= {"pre_build", "re_route"}


def future() -> Future:
    nothing = np.zeros((3, PERIODS))
    money = {name: nothing for name in ("price", "freight", "fuel", "duty")}
    return Future(
        rows=rows(),
        hours=24.0,
        demand=nothing,
        lead_times=np.full((3, PERIODS), 13),
        due=np.ones((3, 2)),
        arriving=np.ones((3, 2)),
        tariffs=Tariffs(**money, fuel_share=np.zeros(3), duty_share=np.zeros(3)),
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(1, 9), st.integers(0, 30)),
        min_size=1,
        max_size=6,
    )
)
def test_every_unit_of_a_line_arrives_once_and_leaves_its_giver(
    said: list[tuple[int, ...]],
) -> None:
    way = SupplyOption("w", "purchase", "S", 1, 1.0, LandedCost(*np.ones((5, 1))), 0, 1)
    lines = [Line(row, giver, way, units, at, 0.0) for row, giver, units, at in said]
    changed, taken = carried_out(lines, future())
    units = sum(line.quantity for line in lines)
    assert changed.due.sum() == changed.arriving.sum() == 6 + units
    assert taken.sum() == sum(line.quantity for line in lines if line.giver >= 0)
    assert (changed.arriving.cumsum(axis=1)[:, :2] <= changed.due.cumsum(axis=1)[:, :2]).all()


def test_the_usual_way_takes_as_long_as_the_scenario_lets_it() -> None:
    usual = options([0, 0, 0]).normal(1)
    changed, _ = carried_out([Line(1, 0, usual, 4.0, 1, 0.0)], future())
    assert changed.due[1].tolist()[:2] == [1, 5] and changed.arriving[1, 13] == 4


def test_a_measure_has_to_be_cheaper_for_sure() -> None:
    random = np.random.default_rng(0)
    usual = random.normal(100, 30, 24)
    units = np.full(24, 5.0)
    sure = priced(
        "expedite", (), (usual, usual - random.normal(10, 2, 24)), (units, units), 10 * units
    )
    luck = priced(
        "transfer", (), (usual, usual - random.normal(2, 40, 24)), (units, units), 10 * units
    )
    nothing = priced(NOTHING, (), (usual, usual), (units, units), 10 * units)
    assert sure.is_worth_it and sure.cost == pytest.approx(-10, abs=2) and not luck.is_worth_it
    assert best([nothing, luck, sure]) == "expedite" and best([nothing, luck]) == NOTHING
    way = SupplyOption("w", "purchase", "S", 1, 1.0, LandedCost(*np.ones((5, 1))), 0, 1)
    dear = priced(
        "e", [Line(0, -1, way, 4.0, 1, 5.0)], (usual, usual - 10), (units, units), 10 * units
    )
    assert dear.premium == 20 and dear.cost == pytest.approx(10) and not dear.is_worth_it


def test_a_node_survives_as_long_as_what_has_passed_it_lasts() -> None:
    demand = np.zeros((3, 4, PERIODS))
    demand[1:] = 2.0
    due = np.zeros((3, 5))
    due[1, 3] = 4.0
    found = time_to_survive(network(), rows(), np.array([20.0, 4, 8]), due, demand)
    lasts = dict(found.select("node_id", "periods").iter_rows())
    # A: 4 units last two days, and 4 more come too late; all of it is missed from day 2 on.
    # All stock and goods on the way to the shops are 36 units, 4 a day: nine days.
    assert lasts == {"DC": 2.0, "S1": 9.0}
    more = time_to_survive(network(), rows(), np.array([20.0, 9, 9]), due, demand)
    assert (more["periods"] >= found["periods"].sort()).all()
