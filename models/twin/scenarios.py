"""What if: an event as data, laid over one future of a network, and what it changes there.

A scenario touches demand, how long goods take, and what they cost; the network, the policy and all
other luck stay as they are, so what differs between a future with it and without it is its effect.
Times are hours after the first period begins: a block of 48 hours at hour 20 of a day is that, and
only where goods reach a shelf are hours rounded up, to the period in which they can be sold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from models.domain import Floats, Integers


@dataclass(frozen=True)
class Kind:
    """What an event of a kind needs: the word for its size with the least and most, none for a
    block; what its scope may name.

    must: the columns that a scope has to name.
    """

    word: str | None
    least: float = 0.0
    most: float = 0.0
    scope: tuple[str, ...] = ("item_id", "location_id", "category", "supplier_id", "from_id")
    must: tuple[str, ...] = ()


#: demand_factor: units asked for. lead_time_delay: days added to what is ordered, or due,
#: meanwhile. hub_blocked: nothing comes to or leaves a place. lane_blocked: nothing sets out or
#: arrives on it.
KINDS: Mapping[str, Kind] = {
    "demand_factor": Kind("factor", 0.0, 100.0, scope=("item_id", "location_id", "category")),
    "lead_time_delay": Kind("days", 0.0, 365.0),
    "hub_blocked": Kind(None, scope=("location_id",), must=("location_id",)),
    "lane_blocked": Kind(None, scope=("from_id", "location_id"), must=("from_id", "location_id")),
    "supplier_down": Kind(None, scope=("supplier_id",), must=("supplier_id",)),
    "fuel_factor": Kind("factor", 0.0, 100.0),
    "freight_factor": Kind("factor", 0.0, 100.0),
    "price_factor": Kind("factor", 0.0, 100.0),
    "duty_added": Kind("share", -1.0, 10.0),
}


@dataclass(frozen=True)
class Effect:
    """One event: its kind, where (columns of the rows), from which hour until which, and how
    strong.
    """

    kind: str
    scope: Mapping[str, str]
    starts: float
    ends: float
    size: float = 1.0


@dataclass(frozen=True)
class Scenario:
    """A name and the events that make it up."""

    name: str
    title: str
    effects: tuple[Effect, ...]


@dataclass(frozen=True, kw_only=True)
class Tariffs:
    """What a unit of each row costs to bring in each period, money, (N, T): price, freight, its
    fuel surcharge, and duty.

    fuel_share: (N,) the part of freight that follows the price of fuel. duty_share: (N,) of price
    and freight.
    """

    price: Floats
    freight: Floats
    fuel: Floats
    duty: Floats
    fuel_share: Floats
    duty_share: Floats

    @property
    def total(self) -> Floats:
        """One unit's cost at the row's place, but for what it cost at the place that ships it, (N,
        T).
        """
        return self.price + self.freight + self.fuel + self.duty


@dataclass(frozen=True, kw_only=True)
class Future:
    """One way things may go: N rows, each a node with the lane that supplies it, over T periods.

    rows: item_id, location_id, from_id, kind (purchase or transfer), category. hours: of a period.
    demand: (N, T). lead_times: (N, T) periods an order of each period takes. due: (N, K) units open
    when it begins, as promised; arriving: (N, K') as they come.
    """

    rows: pl.DataFrame
    hours: float
    demand: Floats
    lead_times: Integers
    due: Floats
    arriving: Floats
    tariffs: Tariffs

    def moves_goods_like(self, other: Future) -> bool:
        """Whether nothing but prices differs, which no policy looks at: what is ordered, sold and
        held is then the same.
        """
        return (
            self.demand is other.demand
            and self.lead_times is other.lead_times
            and self.arriving is other.arriving
        )


def happens(scenario: Scenario, future: Future) -> Future:
    """The same future with the scenario's events in it.

    Raises ValueError for a scope that names what is not there, and for an event outside the
    periods.
    """
    for effect in scenario.effects:
        end = future.hours * future.demand.shape[1]
        if effect.ends <= 0 or effect.starts >= end:
            raise ValueError(
                f"{effect.kind} lies outside the {future.demand.shape[1]} periods simulated"
            )
    for effect in scenario.effects:
        if effect.kind == "demand_factor":
            now = _periods(effect, future)
            factor = np.where(_rows(effect, future)[:, None] & now, effect.size, 1.0)
            future = replace(future, demand=future.demand * factor)
        elif effect.kind in ("fuel_factor", "freight_factor", "price_factor", "duty_added"):
            future = replace(future, tariffs=_dearer(effect, future))
    moves = [effect for effect in scenario.effects if KINDS[effect.kind].word in (None, "days")]
    return _delayed(moves, future) if moves else future


def _rows(effect: Effect, future: Future, *, hub_as: str = "location_id") -> np.ndarray:
    """Which rows an event concerns, (N,)."""
    concerned = np.ones(future.rows.height, dtype=bool)
    for name, value in effect.scope.items():
        column = "from_id" if name == "supplier_id" else name
        column = hub_as if effect.kind == "hub_blocked" else column
        concerned &= (future.rows[column].cast(pl.String) == value).fill_null(False).to_numpy()
        columns = (name,) if name in ("item_id", "category") else ("location_id", "from_id")
        if not any((future.rows[other].cast(pl.String) == value).any() for other in columns):
            raise ValueError(f"{effect.kind}: no {name} is called {value!r} in what is planned")
    return concerned


def _periods(effect: Effect, future: Future) -> np.ndarray:
    """The periods that begin while an event lasts, (T,)."""
    begins = np.arange(future.demand.shape[1]) * future.hours
    return (effect.starts <= begins) & (begins < effect.ends)


def _dearer(effect: Effect, future: Future) -> Tariffs:
    tariffs = future.tariffs
    where = _rows(effect, future)[:, None] & _periods(effect, future)
    more = np.where(where, effect.size - 1.0, 0.0)
    share, duty_share = tariffs.fuel_share[:, None], tariffs.duty_share[:, None]
    if effect.kind == "fuel_factor":
        burnt = tariffs.freight * share + tariffs.fuel  # what of freight is fuel, at today's price
        return replace(tariffs, fuel=tariffs.fuel + burnt * more)
    if effect.kind == "freight_factor":
        freight, fuel = tariffs.freight * (1 + more), tariffs.fuel * (1 + more)
        duty = tariffs.duty + tariffs.freight * more * duty_share
        return replace(tariffs, freight=freight, fuel=fuel, duty=duty)
    if effect.kind == "price_factor":
        duty = tariffs.duty + tariffs.price * more * duty_share
        return replace(tariffs, price=tariffs.price * (1 + more), duty=duty)
    bought = where & (future.rows["kind"] == "purchase").to_numpy()[:, None]
    added = np.where(bought, effect.size, 0.0) * (tariffs.price + tariffs.freight)
    return replace(tariffs, duty=tariffs.duty + added)


def _delayed(effects: Sequence[Effect], future: Future) -> Future:
    """Goods wait where they cannot set out or arrive, and travel longer where they are delayed;
    nothing comes sooner.
    """
    effects = sorted(effects, key=lambda effect: effect.starts)
    periods = future.demand.shape[1]
    begins = np.broadcast_to(np.arange(periods) * future.hours, future.lead_times.shape).astype(
        float
    )
    leaves = begins.copy()
    for effect in effects:
        if effect.kind != "lead_time_delay":
            stuck = _rows(effect, future, hub_as="from_id")[:, None] & _during(effect, leaves)
            leaves = np.where(stuck, effect.ends, leaves)
    arrives = leaves + future.lead_times * future.hours
    for effect in effects:
        if effect.kind == "lead_time_delay":
            late = _rows(effect, future)[:, None] & _during(effect, begins)
            arrives = np.where(late, arrives + effect.size * 24, arrives)
    arrives = _admitted(effects, future, arrives)
    took = np.ceil((arrives - begins) / future.hours - 1e-9).astype(np.int64)
    return replace(future, lead_times=took, arriving=_arriving(effects, future))


def _during(effect: Effect, moments: Floats) -> np.ndarray:
    return (effect.starts <= moments) & (moments < effect.ends)


def _admitted(effects: Sequence[Effect], future: Future, arrives: Floats) -> Floats:
    """When goods that reach a place are let in, hours; shape of `arrives`, (N, ...)."""
    for effect in effects:
        if effect.kind in ("hub_blocked", "lane_blocked"):
            stuck = _rows(effect, future)[:, None] & _during(effect, arrives)
            arrives = np.where(stuck, effect.ends, arrives)
    return arrives


def _arriving(effects: Sequence[Effect], future: Future) -> Floats:
    """What was open already, by the period in which it comes, (N, K')."""
    columns = future.arriving.shape[1]
    due = np.broadcast_to(np.arange(columns) * future.hours, future.arriving.shape).astype(float)
    for effect in effects:
        if effect.kind == "lead_time_delay":
            late = _rows(effect, future)[:, None] & _during(effect, due)
            due = np.where(late, due + effect.size * 24, due)
    comes = np.ceil(_admitted(effects, future, due) / future.hours - 1e-9).astype(np.int64)
    arriving = np.zeros((len(comes), max(columns, int(comes.max(initial=0)) + 1)))
    np.add.at(arriving, (np.arange(len(comes))[:, None], comes), future.arriving)
    return arriving
