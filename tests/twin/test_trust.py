"""How far the twin can be trusted: the past run again, and its stock beside what was counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.domain import Economics
from models.twin.network import Network
from models.twin.trust import TRUSTED, PastOrders, errors, overall_error, run_again

#: A centre that buys, and a shop that it supplies.
NETWORK = Network(
    lead_time=np.array([5, 1]),
    economics=Economics(
        holding=np.ones(2), shortage=np.ones(2), unit_cost=np.ones(2), order_cost=np.zeros(2)
    ),
    supplied_from=np.array([-1, 0]),
    review=7,
    moq=np.array([100.0, 0.0]),
    order_multiple=np.array([50.0, 1.0]),
)
NOTHING = np.zeros((2, 6))


def stock(demand: float, unmet: str = "lost", first: float = 10.0) -> list[list[float]]:
    """Stock at the end of each period: the shop asks for `demand` in each, is sent 4 in the second
    one and had 3 on the way; the centre gets 7 that it ordered in the first, after 3 periods."""
    sold, due, placed, took = (NOTHING.copy() for _ in range(4))
    sold[1], due[1, 1] = demand, 3.0
    placed[1, 1], took[1, 1] = 4.0, 2
    placed[0, 0], took[0, 0] = 7.0, 3
    network = replace(NETWORK, economics=replace(NETWORK.economics, unmet=unmet))
    on_hand = np.array([20.0, first])
    again = run_again(network, sold, on_hand, due, PastOrders(placed, took.astype(np.int64)))
    return [row.tolist() for row in again.on_hand]


def test_the_past_runs_again_with_the_orders_as_placed_whatever_lots_and_reviews_say() -> None:
    centre, shop = stock(demand=2.0)
    assert centre == [20.0, 16.0, 16.0, 23.0, 23.0, 23.0]
    assert shop == [8.0, 9.0, 7.0, 9.0, 7.0, 5.0]


@pytest.mark.parametrize(
    ("unmet", "shop"),
    [("lost", [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]), ("backlog", [0.0, 0.0, 0.0, 0.0, 0.0, 0.0])],
)
def test_who_is_not_served_is_lost_or_waits_as_the_world_says(
    unmet: str, shop: list[float]
) -> None:
    assert stock(demand=3.0, unmet=unmet, first=0.0)[1] == shop


def test_an_order_that_never_came_never_comes() -> None:
    placed, took = NOTHING.copy(), np.full((2, 6), 6)
    placed[0, 0] = 50.0
    again = run_again(NETWORK, NOTHING, np.array([1.0, 0.0]), NOTHING, PastOrders(placed, took))
    assert again.on_hand[0].tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("off", "error", "bias"), [((0, 0), 0.0, 0.0), ((4, -4), 0.2, 0.0), ((5, 5), 0.25, 0.25)]
)
def test_errors_are_shares_of_what_was_counted_and_trusted_up_to_a_threshold(
    off: tuple[float, float], error: float, bias: float
) -> None:
    rows = pl.DataFrame({"item_id": ["a", "b", "c"], "location_id": ["X", "X", "Y"]})
    simulated = np.array([[10.0 + off[0], 99.0], [99.0, 30.0 + off[1]], [5.0, 5.0]])
    counted = pl.DataFrame(
        {"row": [0, 1, 2], "period": [0, 1, 1], "on_hand": [10.0, 30.0, 5.0]},
    )
    found = errors(rows, simulated, counted, ["AX", "AX", "CZ"])
    there, fine = found.to_dicts()
    assert (there["item_class"], there["location_id"], there["counts"]) == ("AX", "X", 2)
    assert (there["counted"], there["error"], there["bias"]) == (20.0, error, bias)
    assert there["is_trusted"] == (error <= TRUSTED) and fine["error"] == 0 and fine["is_trusted"]
    assert overall_error(found) == pytest.approx(40 * error / 45)
