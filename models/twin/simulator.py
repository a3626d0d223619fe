"""The one physics of the house: what stock, orders and costs become of a policy when demand is revealed period by period.

Planning's rehearsal, replay of history, scenarios and learning all step through this loop, in the order of the clock contract
(models/domain.py): receive, decide, sell, book. Nothing here is random; chance enters as arrays (demand, lead times), so two
policies given the same arrays meet the same luck.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.domain import Floats, Integers, Policy, Situation
from models.replenishment.echelon import echelon_view
from models.replenishment.orders import allocate, feasible
from models.replenishment.projection import within_reach
from models.twin.network import Network
from models.twin.pipeline import Pipeline

#: Makes the forecast for the decision of period t: sample paths (N, S, H) of t .. t + H - 1 from what is known by then, or None.
Forecaster = Callable[[int], Floats | None]


@dataclass(frozen=True)
class SimulationResult:
    """What happened: units and money by node and period, each of shape (N, T).

    requested: feasible quantities the policy asked for. shipped: what was sent (less, where a distribution centre was short).
    received: arrivals. sold: demand met from stock. lost: demand not met in its period. on_hand: stock at the end of the period.
    on_order: units on the way at the end. owed: units owed to customers at the end (backlog). initial_stock: (N,) units on hand
    and on the way before the first period. holding, shortage, ordering: cost booked, in the world's currency; freight: what moving
    the goods cost, for information, as every policy pays it on every unit it sells and the margin lost with a sale is net of it.
    """

    network: Network
    demand: Floats
    requested: Floats
    shipped: Floats
    received: Floats
    sold: Floats
    lost: Floats
    on_hand: Floats
    on_order: Floats
    owed: Floats
    initial_stock: Floats
    holding: Floats
    shortage: Floats
    ordering: Floats
    freight: Floats

    @property
    def cost(self) -> Floats:
        """The costs a policy is judged by, shape (N, T): all but freight."""
        return self.holding + self.shortage + self.ordering

    @property
    def fill_rate(self) -> float:
        """The share of demand met from stock in its own period; 1 where there was no demand."""
        asked = float(self.demand.sum())
        return float(self.sold.sum()) / asked if asked > 0 else 1.0

    @property
    def purchase_value(self) -> Floats:
        """Cash committed to suppliers by period, shape (T,): units bought times unit cost; transfers cost no cash."""
        bought = np.where((self.network.supplied_from < 0)[:, None], self.shipped, 0.0)
        return (bought * self.network.economics.unit_cost[:, None]).sum(axis=0)

    def bullwhip(self, nodes: Integers | np.ndarray) -> float:
        """How much more orders vary than the demand they serve: variance of orders over variance of demand, summed over nodes.

        A distribution centre's demand is its locations'. Both are added up by review interval first; nan where demand is constant.
        """
        below = self.demand.copy()
        children = np.flatnonzero(self.network.supplied_from >= 0)
        np.add.at(below, self.network.supplied_from[children], self.demand[children])
        review = self.network.review
        whole = below.shape[1] // review * review
        orders, served = (
            part[nodes, :whole].reshape(-1, whole // review, review).sum(axis=2).var(axis=1).sum() for part in (self.requested, below)
        )
        return float(orders / served) if served > 0 else float("nan")


def simulate(
    network: Network,
    policy: Policy,
    demand: Floats,
    on_hand: Floats,
    *,
    pipeline: Floats | None = None,
    history: Floats | None = None,
    forecaster: Forecaster | None = None,
    lead_times: Integers | None = None,
    lead_time_paths: Integers | None = None,
    phase: Integers | None = None,
    order_periods: int | None = None,
) -> SimulationResult:
    """Let a policy run the stock through known demand and book what it costs.

    demand: (N, T) units, no NaN (`reveal` says how unknown periods are to be read). on_hand: (N,) before period 0's receipts.
    pipeline: (N, K) open orders, column k due at the start of period k. history: (N, T0) demand before period 0, NaN where
    unknown. forecaster: sample paths by period; a distribution centre's own row is its direct demand, its locations' is added
    here. lead_times: (N, T) the lead time an order of period t really takes; left out, the planned one. lead_time_paths: (N, S)
    what the policy believes about them. phase: (T0 + T + H,) position in the year of every period from the first of history on.
    order_periods: decisions are made in the first so many periods only. Raises ValueError for NaN or negative demand and for
    shapes that do not fit.
    """
    count, periods = demand.shape
    _check(network, demand, on_hand, pipeline=pipeline, history=history, lead_times=lead_times)
    past = np.zeros((count, 0)) if history is None else history
    seen_demand = np.concatenate([past, demand], axis=1)
    first = past.shape[1]
    actual = np.repeat(network.lead_time[:, None], periods, axis=1) if lead_times is None else lead_times
    open_columns = 0 if pipeline is None else pipeline.shape[1]
    on_way = Pipeline(
        count,
        max(int(actual.max(initial=0)), open_columns),
        max(int(network.lead_time.max(initial=0)), open_columns),
        is_certain=lead_times is None,
    )
    if pipeline is not None:
        on_way.load(pipeline)
    stock, owed = on_hand.astype(np.float64), np.zeros(count)
    initial_stock = stock + on_way.total()
    book = {name: np.zeros((count, periods)) for name in _BOOKS}
    sources = network.supplied_from
    children = np.flatnonzero(sources >= 0)
    economics = network.economics
    is_backlog = economics.unmet == "backlog"

    for t in range(periods):
        # 1 receive what is due
        arrived = on_way.advance()
        stock += arrived
        book["received"][:, t] = arrived

        # 2 observe and decide
        if t % network.review == 0 and (order_periods is None or t < order_periods):
            situation = Situation(
                on_hand=stock,
                pipeline=on_way.seen(),
                history=seen_demand[:, : first + t],
                paths=forecaster(t) if forecaster else None,
                lead_time=network.lead_time,
                review=network.review,
                economics=economics,
                backlog=owed,
                lead_time_paths=lead_time_paths if lead_time_paths is not None else np.zeros((0, 0), dtype=np.int64),
                phase=phase if phase is not None else np.zeros(0, dtype=np.int64),
                moq=network.moq,
                order_multiple=network.order_multiple,
            )
            wanted = policy.order(within_reach(echelon_view(situation, sources)))
            requested = feasible(wanted, network.moq, network.order_multiple)
            shipped = allocate(requested, sources, stock, network.order_multiple)
            np.subtract.at(stock, sources[children], shipped[children])
            at_once = actual[:, t] == 0
            stock += np.where(at_once, shipped, 0.0)
            book["received"][:, t] += np.where(at_once, shipped, 0.0)
            on_way.add(np.where(at_once, 0.0, shipped), actual[:, t], network.lead_time)
            book["requested"][:, t], book["shipped"][:, t] = requested, shipped
            book["ordering"][:, t] = economics.order_cost * (shipped > 0)
            book["freight"][:, t] = network.freight_per_unit * shipped

        # 3 demand happens; under backlog what is owed is served first
        served = np.minimum(stock, owed)
        stock, owed = stock - served, owed - served
        sold = np.minimum(stock, demand[:, t])
        lost = demand[:, t] - sold
        stock = stock - sold
        if is_backlog:
            owed = owed + lost

        # 4 cost is booked on the end stock and on lost or late units
        book["sold"][:, t], book["lost"][:, t] = sold, lost
        book["on_hand"][:, t], book["on_order"][:, t], book["owed"][:, t] = stock, on_way.total(), owed
        book["holding"][:, t] = economics.holding * stock
        book["shortage"][:, t] = economics.shortage * (owed if is_backlog else lost)
    return SimulationResult(network=network, demand=demand, initial_stock=initial_stock, **book)


_BOOKS = (
    "requested", "shipped", "received", "sold", "lost", "on_hand", "on_order", "owed", "holding", "shortage", "ordering", "freight",
)  # fmt: skip


def reveal(recorded: Floats, *, unknown: str = "recorded", latent: Floats | None = None) -> Floats:
    """Read history's unknown periods openly before a replay: as what was sold, or as what is believed to have been asked for.

    recorded: (N, T) units sold, NaN where even that is missing (counted as 0). unknown: "recorded" takes sales as demand, which
    is too kind to policies that stock little; "latent" takes `latent` (N, T) wherever it is above the recorded figure. Raises
    ValueError for another word, or "latent" without an estimate.
    """
    sold = np.nan_to_num(recorded, nan=0.0)
    if unknown == "recorded":
        return sold
    if unknown == "latent" and latent is not None:
        return np.maximum(sold, np.nan_to_num(latent, nan=0.0))
    raise ValueError(f"unknown demand can be read as 'recorded' or as 'latent' with an estimate, not as {unknown!r}")


def _check(network: Network, demand: Floats, on_hand: Floats, **optional: Floats | Integers | None) -> None:
    for name, given in {"demand": demand, "on_hand": on_hand, **optional}.items():
        if given is not None and given.shape[0] != network.size:
            raise ValueError(f"simulate: {name} has {given.shape[0]} rows for {network.size} nodes")
    lead_times = optional.get("lead_times")
    if lead_times is not None and lead_times.shape[1] != demand.shape[1]:
        raise ValueError(f"simulate: lead_times covers {lead_times.shape[1]} periods, demand {demand.shape[1]}")
    if np.isnan(demand).any():
        row, period = np.argwhere(np.isnan(demand))[0]
        raise ValueError(f"simulate: demand of node {row} in period {period} is unknown; say with reveal() how to read it")
    if (demand < 0).any() or (on_hand < 0).any():
        raise ValueError("simulate: demand and stock on hand must not be negative")
