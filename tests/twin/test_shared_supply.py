"""A place with two suppliers by shares in the twin: each has a lane of its own, what stops one
leaves the other, and money follows what each really brings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.domain import Economics
from models.replenishment.agreed_shares import lanes_of, with_other_sources
from models.replenishment.decision import Terms
from models.replenishment.policies import CappedBaseStock
from models.twin.event_effects import Future, Tariffs, happens
from models.twin.network import Network
from models.twin.outlook import Outlook
from models.twin.resilience import time_to_survive
from models.twin.scenarios import Effect, Scenario
from models.twin.simulator import SimulationResult, simulate
from models.twin.what_if import flows, outcome, unit_cost_at_shelf

PERIODS = 16
#: A centre that buys from NEAR and FAR, and a shop that it feeds.
CENTRE = {
    "item_id": "x",
    "location_id": "DC",
    "from_id": "NEAR",
    "kind": "purchase",
    "category": "tea",
    "unit_cost": 5.0,
    "moq": 0.0,
    "order_multiple": 1.0,
    "lead_time_periods": 1,
    "on_hand": 40.0,
    "on_order": 0.0,
}
SHOP = CENTRE | {"location_id": "A", "from_id": "DC", "kind": "transfer", "on_hand": 12.0}
FAR = CENTRE | {"from_id": "FAR", "share": 0.4, "lead_time_periods": 3, "unit_cost": 4.0}
OTHERS = pl.DataFrame([FAR])
ROWS = with_other_sources(pl.DataFrame([CENTRE, SHOP]), OTHERS)
LANES = lanes_of(ROWS)


def network() -> Network:
    terms = Terms.of(ROWS)
    assert terms.lanes is not None
    return Network(
        LANES["lead_time_periods"].to_numpy().astype(np.int64),
        Economics(np.full(2, 0.1), np.full(2, 3.0), np.array([5.0, 5.0]), np.zeros(2)),
        terms.sources,
        to=terms.lanes.to,
        share=terms.lanes.share,
    )


def future(seed: int = 0) -> Future:
    demand = np.random.default_rng(seed).poisson(4, (2, PERIODS)).astype(float)
    demand[0] = 0.0
    each, free = np.ones((3, PERIODS)), np.zeros((3, PERIODS))
    return Future(
        rows=LANES,
        hours=24.0,
        demand=demand,
        lead_times=np.repeat(network().lead_time[:, None], PERIODS, axis=1),
        due=np.zeros((3, 1)),
        arriving=np.zeros((3, 1)),
        tariffs=Tariffs(
            price=np.array([[5.0], [0.0], [4.0]]) * each,
            freight=np.array([[1.0], [2.0], [3.0]]) * each,
            fuel=free,
            duty=free,
            fuel_share=np.zeros(3),
            duty_share=np.zeros(3),
            co2=np.array([1.0, 0.5, np.nan]),
        ),
        terms=(Terms.of(ROWS),) * PERIODS,
    )


def run(lived: Future) -> SimulationResult:
    place = network()
    drawn = np.random.default_rng(1).poisson(4, (2, 20, 8)) * np.array([0, 1])[:, None, None]
    return simulate(
        place,
        CappedBaseStock(level=np.array([60.0, 16.0]), cap=np.inf),
        lived.demand,
        ROWS["on_hand"].to_numpy(),
        pipeline=lived.due,
        arriving=lived.arriving,
        history=np.full((2, 4), 4.0),
        forecaster=Outlook(drawn.astype(np.float32), place),
        lead_times=lived.lead_times,
        terms=lived.terms,
    )


def down(supplier: str) -> Scenario:
    event = Effect("supplier_down", {"supplier_id": supplier}, 0, 24.0 * 8)
    return Scenario("down", "Down", (event,))


def test_each_supplier_sends_its_share_and_one_that_is_down_stops_its_own_alone() -> None:
    calm = future()
    stopped = happens(down("FAR"), calm)
    assert (stopped.lead_times[:2] == calm.lead_times[:2]).all()
    assert (stopped.lead_times[2, :8] > calm.lead_times[2, :8]).all()
    usual, short = run(calm), run(stopped)
    near, far = usual.shipped[0].sum(), usual.shipped[2].sum()
    assert far / (near + far) == pytest.approx(0.4, abs=0.05)
    assert 0 < short.received[0, 3:9].sum() < usual.received[0, 3:9].sum()
    for done in (usual, short):  # no unit is lost
        begun = done.initial_stock.sum() + done.shipped[[0, 2]].sum()
        assert begun - done.sold.sum() == pytest.approx((done.on_hand + done.on_order)[:, -1].sum())


def test_money_follows_what_each_supplier_really_brings() -> None:
    place, calm = network(), future()
    done = run(calm)
    at_shelf = unit_cost_at_shelf(place, calm)[:, 0]
    assert at_shelf.tolist() == pytest.approx([0.6 * 6 + 0.4 * 7, 0.6 * 6 + 0.4 * 7 + 2])
    found = outcome(place, calm, done, np.array([9.0, 9.0]))
    sent = done.shipped.sum(axis=1)
    assert found.freight.tolist() == pytest.approx([sent[0] + 3 * sent[2], 2 * sent[1]])
    assert found.bought.tolist() == [sent[0], 0, sent[2]] and found.moved.tolist() == [
        0,
        sent[1],
        0,
    ]
    assert np.isnan(found.co2_kg[2]) and found.co2_kg[0] == pytest.approx(sent[0])
    by_lane = flows(LANES, [found], [found]).select("from_id", "before").rows()
    assert dict(by_lane) == {"NEAR": sent[0], "FAR": sent[2], "DC": sent[1]}
    paid = sent @ calm.tariffs.total[:, 0]
    assert found.cash.sum() == pytest.approx(9 * done.sold.sum() - paid)


def test_a_supplier_with_a_share_is_missed_later_than_one_who_has_all() -> None:
    place, calm = network(), future()
    alone = Network(place.lead_time[:2], place.economics, place.supplied_from[:2])
    stock, due = ROWS["on_hand"].to_numpy(), np.zeros((2, 1))
    demand = np.repeat(2 * calm.demand[:, None], 5, axis=1)
    shared = time_to_survive(place, LANES, stock, due, demand)
    single = time_to_survive(alone, LANES[:2], stock, due, demand)
    lasts = dict(shared.select("node_id", "periods").rows())
    assert lasts["FAR"] > lasts["NEAR"] > dict(single.select("node_id", "periods").rows())["NEAR"]


def test_terms_for_other_lanes_than_the_network_has_are_refused() -> None:
    one = replace(future(), terms=(Terms.of(pl.DataFrame([CENTRE, SHOP])),) * PERIODS)
    with pytest.raises(ValueError, match="terms are for 2 lanes, not for 3"):
        run(one)
