"""What a scenario's events change in one future of a network: blocked hubs and lanes, late ports,
dearer freight and prices, surges, recalls.

A scenario touches demand, how long goods take, what they cost, what is in stock and what orders
have to obey; the network and all other luck stay as they are, so what differs between a future with
it and without it is its effect. Times are hours after the first period begins: a block of 48 hours
at hour 20 of a day is that, and only where goods reach a shelf are hours rounded up, to the period
in which they can be sold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Policy
from models.replenishment.calendars import Waits
from models.replenishment.constraints import Constraint, Limit, room_of, room_on
from models.replenishment.decision import Terms
from models.replenishment.policies import POLICIES
from models.twin.lane_queues import LaneQueue
from models.twin.scenarios import KINDS, MONEY, Effect, Scenario
from models.twin.simulator import InForce

__all__ = ["KINDS", "Effect", "Future", "Scenario", "Tariffs", "check", "happens"]


@dataclass(frozen=True, kw_only=True)
class Tariffs:
    """What a unit costs to bring on each lane in each period, money, (E, T): price, freight, its
    fuel surcharge, and duty.

    fuel_share: (E,) the part of freight that follows the price of fuel. duty_share: (E,) of price
    and freight. co2: (E,) kg of CO2 equivalent that bringing a unit emits, NaN where no lane says.
    """

    price: Floats
    freight: Floats
    fuel: Floats
    duty: Floats
    fuel_share: Floats
    duty_share: Floats
    co2: Floats = field(default_factory=lambda: np.full(1, np.nan))

    @property
    def total(self) -> Floats:
        """One unit's cost where the lane leads, but for what it cost at the place that ships it,
        (E, T).
        """
        return self.price + self.freight + self.fuel + self.duty


@dataclass(frozen=True, kw_only=True)
class Future:
    """One way things may go: N nodes and E lanes that supply them, over T periods; the first N
    lanes are the nodes' usual ones, in their order.

    rows, a lane each: item_id, location_id, from_id, kind (purchase or transfer), category, and
    where known mode, and hubs with hub_hours, lists of what goods pass and when after departure,
    half-way where that is empty. hours: of a period. demand: (N, T). lead_times: (E, T) periods an
    order of each period takes. due: (E, K) units open when it begins, as promised; arriving: (E,
    K') as they come. withdrawn: (N, T) share of the stock taken back at the start of each period,
    empty where none is. terms: what orders have to obey in each period, T of them, empty where
    nobody asks. policy: the rule that decides, None for the usual one. waits: what calendars of
    suppliers and places add to lead_times, None where everything leaves and is taken in at once.
    queues: lanes that take less than they usually do.
    """

    rows: pl.DataFrame
    hours: float
    demand: Floats
    lead_times: Integers
    due: Floats
    arriving: Floats
    tariffs: Tariffs
    withdrawn: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    terms: tuple[Terms, ...] = ()
    policy: Policy | None = None
    waits: Waits | None = None
    queues: tuple[LaneQueue, ...] = ()

    def moves_goods_like(self, other: Future) -> bool:
        """Whether nothing but prices differs, which no policy looks at: what is ordered, sold and
        held is then the same.
        """
        names = (
            "demand",
            "lead_times",
            "arriving",
            "due",
            "withdrawn",
            "terms",
            "policy",
            "queues",
        )
        return all(getattr(self, name) is getattr(other, name) for name in names)


def in_force(plain: Future, changed: Future) -> InForce:
    """What events that make one future of another say of each period while they are in force."""
    was = np.where(plain.demand > 0, plain.demand, 1.0)
    return InForce(
        longer=np.maximum(changed.lead_times - plain.lead_times, 0),
        surge=np.where(plain.demand > 0, changed.demand / was, 1.0),
    )


def check(effect: Effect, future: Future) -> None:
    """Refuse an event that cannot happen in what is simulated. Raises ValueError for a scope that
    names what is not there, for a time outside the periods, and for facts that it needs and nobody
    has fed.
    """
    rows, end = future.rows, future.hours * future.demand.shape[1]
    if effect.ends <= 0 or effect.starts >= end:
        raise ValueError(
            f"{effect.kind} lies outside the {future.demand.shape[1]} periods simulated"
        )
    for name, value in effect.scope.items():
        columns = (name,) if name in ("item_id", "category", "mode") else ("location_id", "from_id")
        if name == "mode" and name not in rows.columns:
            raise ValueError(f"{effect.kind} names a mode, but no lanes are fed that have one")
        is_hub = effect.kind == "hub_blocked" and passes(rows, value).any()
        if not is_hub and not any(
            (rows[other].cast(pl.String) == value).any() for other in columns
        ):
            raise ValueError(f"{effect.kind}: no {name} is called {value!r} in what is planned")
    if effect.kind == "capacity_cut" and not _capacity(effect, future.terms):
        place, source = effect.scope["location_id"], effect.scope.get("from_id")
        raise ValueError(
            f"what the lane from {source} to {place} can take is not known: feed lanes.capacity_kg"
            if source
            else f"what {place} can hold is not known: feed locations.capacity, or a constraint "
            "capacity"
        )
    if effect.kind == "new_policy" and effect.said.get("policy") not in POLICIES:
        raise ValueError(
            f"there is no policy {effect.said.get('policy')!r}; there are {', '.join(POLICIES)}"
        )
    if effect.kind == "new_constraint":
        _constraint(effect).limit(rows)


def happens(scenario: Scenario, future: Future) -> Future:
    """The same future with the scenario's events in it; those that may or may not happen do.

    Raises ValueError as `check` does.
    """
    for effect in scenario.effects:
        check(effect, future)
    for effect in scenario.effects:
        if effect.kind in ("demand_factor", "item_delisted"):
            factor = effect.size if effect.kind == "demand_factor" else 0.0
            now = _nodes(effect, future)[:, None] & _periods(effect, future)
            future = replace(future, demand=future.demand * np.where(now, factor, 1.0))
        if effect.kind in MONEY:
            future = replace(future, tariffs=_dearer(effect, future))
        elif effect.kind == "capacity_cut" and "from_id" in effect.scope:
            future = replace(future, queues=_queued(effect, future))
        elif effect.kind in ("item_delisted", "capacity_cut", "new_constraint"):
            future = replace(future, terms=_bound(effect, future))
        elif effect.kind == "recall":
            future = replace(future, withdrawn=_withdrawn(effect, future))
        elif effect.kind == "new_policy":
            future = replace(future, policy=POLICIES[effect.said["policy"]])
    moves = [effect for effect in scenario.effects if effect.kind in _MOVES]
    return _delayed(moves, future) if moves else future


def _rows(effect: Effect, future: Future, *, hub_as: str = "location_id") -> np.ndarray:
    """Which lanes an event concerns, (E,)."""
    concerned = np.ones(future.rows.height, dtype=bool)
    for name, value in effect.scope.items():
        column = "from_id" if name == "supplier_id" else name
        column = hub_as if effect.kind == "hub_blocked" else column
        concerned &= (future.rows[column].cast(pl.String) == value).fill_null(False).to_numpy()
    return concerned


def _nodes(effect: Effect, future: Future) -> np.ndarray:
    """Which nodes an event concerns, (N,), by their usual lane."""
    return _rows(effect, future)[: future.demand.shape[0]]


def passes(rows: pl.DataFrame, hub: str) -> np.ndarray:
    """Which rows' goods pass a hub without being kept there, (N,)."""
    if "hubs" not in rows.columns:
        return np.zeros(rows.height, dtype=bool)
    return rows["hubs"].list.contains(hub).fill_null(False).to_numpy()


def _after(effect: Effect, future: Future, transit: Floats) -> tuple[np.ndarray, Floats]:
    """The rows whose goods pass a blocked hub, (N,), and how many hours after departure they do,
    of `transit` hours, (N, ...)."""
    hub = effect.scope["location_id"]
    here = passes(future.rows, hub)
    after = transit / 2
    for row in np.flatnonzero(here):
        at = future.rows["hubs"][int(row)].to_list().index(hub)
        said = future.rows["hub_hours"][int(row)][at]
        if said is not None:
            after[row] = np.minimum(said, transit[row])
    return here, after


def _capacity(effect: Effect, terms: Sequence[Terms]) -> list[int]:
    """The numbers of the limits that say what the place can hold, or the lane can take."""
    limits, place = terms[0].limits if terms else (), effect.scope["location_id"]
    source = effect.scope.get("from_id")
    name = room_on(source, place) if source else room_of(place)
    return [
        k
        for k, limit in enumerate(limits)
        if limit.name == name or (source and limit.name.startswith(f"{name} for "))
    ]


def _constraint(effect: Effect) -> Constraint:
    names = {"supplier_id": "from_id"}
    scope = {names.get(name, name): value for name, value in effect.scope.items()}
    resource = effect.said.get("resource", "units")
    name = f"{resource} for {', '.join(scope.values()) or 'all'}"
    return Constraint(name, effect.size, resource, scope)  # type: ignore[arg-type]


def _bound(effect: Effect, future: Future) -> tuple[Terms, ...]:
    """What orders have to obey, by period, with one more thing to obey while the event lasts."""
    if not future.terms:
        raise ValueError(f"{effect.kind} needs the terms that orders obey; none are simulated")
    usual = future.terms[0]
    if effect.kind == "item_delisted":
        free = np.full(future.demand.shape[0], np.nan)
        fixed = np.where(_nodes(effect, future), 0.0, usual.fixed if usual.fixed.size else free)
        changed = {id(one): replace(one, fixed=fixed) for one in future.terms}
    elif effect.kind == "capacity_cut":
        cut = _capacity(effect, future.terms)
        changed = {id(one): replace(one, limits=_cut(one, cut, effect)) for one in future.terms}
    else:
        limit = _constraint(effect).limit(future.rows)
        changed = {id(one): replace(one, limits=[*one.limits, limit]) for one in future.terms}
    now = _periods(effect, future)
    return tuple(changed[id(one)] if on else one for one, on in zip(future.terms, now, strict=True))


def _queued(effect: Effect, future: Future) -> tuple[LaneQueue, ...]:
    """What lanes can take in each period, with a share of it gone while the event lasts: orders are
    made as usual, and what does not fit waits."""
    queues = {queue.name: queue for queue in future.queues}
    for number in _capacity(effect, future.terms):
        limit = future.terms[0].limits[number]
        usual = np.full(future.demand.shape[1], limit.at_most)
        queue = queues.get(limit.name, LaneQueue(limit.name, limit.use, usual))
        left = np.where(_periods(effect, future), 1 - effect.size, 1.0)
        queues[limit.name] = replace(queue, room=queue.room * left)
    return tuple(queues.values())


def _cut(terms: Terms, numbers: Sequence[int], effect: Effect) -> list[Limit]:
    return [
        replace(limit, at_most=limit.at_most * (1 - effect.size)) if k in numbers else limit
        for k, limit in enumerate(terms.limits)
    ]


def _withdrawn(effect: Effect, future: Future) -> Floats:
    shape = future.demand.shape
    share = future.withdrawn.copy() if future.withdrawn.size else np.zeros(shape)
    when = int(np.ceil(max(effect.starts, 0.0) / future.hours - 1e-9))
    if when < shape[1]:
        here = _nodes(effect, future)
        share[here, when] = np.maximum(share[here, when], effect.size)
    return share


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


#: What keeps goods or makes them late.
_MOVES = (
    "lead_time_delay",
    "port_delay",
    "hub_blocked",
    "lane_blocked",
    "supplier_down",
    "new_supplier",
)
#: What goods cannot set out through.
_BLOCKS = ("hub_blocked", "lane_blocked", "supplier_down")


def _delayed(effects: Sequence[Effect], future: Future) -> Future:
    """Goods wait where they cannot set out or arrive, and travel longer where they are delayed;
    nothing comes sooner, but from a new supplier.
    """
    effects = sorted(effects, key=lambda effect: effect.starts)
    took = _taken(effects, future)
    for effect in effects:
        if effect.kind == "new_supplier":
            here = _rows(effect, future) & (future.rows["kind"] == "purchase").to_numpy()
            took = np.where(
                here[:, None] & _periods(effect, future),
                _taken(effects, _bought_elsewhere(effect, future, here)),
                took,
            )
    return replace(future, lead_times=took, arriving=_arriving(effects, future))


def _bought_elsewhere(effect: Effect, future: Future, here: np.ndarray) -> Future:
    """The future with some rows, (N,), bought from a new supplier, who takes so many days whatever
    the days of the old one."""
    came_from = pl.when(pl.Series(here)).then(pl.lit(effect.said["supplier"]))
    rows = future.rows.with_columns(from_id=came_from.otherwise("from_id"))
    days = np.ceil(effect.size * 24 / future.hours - 1e-9).astype(np.int64)
    waits, longer = future.waits, 0 if future.waits is None else future.waits.longer
    if waits is not None:
        waits = replace(waits, leaves=np.where(here[:, None], 0, waits.leaves))
    took = np.where(here[:, None], days - longer, future.lead_times)
    return replace(future, rows=rows, lead_times=took, waits=waits)


def _taken(effects: Sequence[Effect], future: Future) -> Integers:
    """The periods that an order of each period takes with these events, beside what its calendar
    adds, (N, T)."""
    periods = future.demand.shape[1]
    begins = np.broadcast_to(np.arange(periods) * future.hours, future.lead_times.shape).astype(
        float
    )
    usual = _departure(future, begins)
    undisturbed, leaves = usual + _transit(future, begins), usual
    for effect in effects:
        if effect.kind in _BLOCKS:
            stuck = _rows(effect, future, hub_as="from_id")[:, None] & _during(effect, leaves)
            leaves = np.where(stuck, _departure(future, effect.ends), leaves)
    transit = _transit(future, np.where(leaves > usual, leaves, begins))
    for effect in effects:
        if effect.kind == "hub_blocked":  # what would pass it meanwhile waits before it
            here, after = _after(effect, future, transit)
            stuck = here[:, None] & _during(effect, leaves + after)
            leaves = np.where(stuck, effect.ends - after, leaves)
    late = np.zeros_like(begins)
    for effect in effects:
        if effect.kind == "lead_time_delay":
            here = _rows(effect, future)[:, None] & _during(effect, begins)
            late += np.where(here, effect.size * 24, 0.0)
    arrives = _admitted(effects, future, leaves + transit + late)
    longer = 0 if future.waits is None else future.waits.longer
    took = np.ceil((arrives - begins) / future.hours - 1e-9).astype(np.int64) - longer
    return np.where(arrives == undisturbed, future.lead_times, took)


def _departure(future: Future, ready: Floats | float) -> Floats:
    """When goods that are ready at an hour leave, (N, T): at once, or on the next day on which
    their sender or lane does."""
    if future.waits is None:
        return np.broadcast_to(ready, future.lead_times.shape).astype(float)
    at, when = _dated(future.waits.leaves, future, ready)
    return np.maximum(ready, at * future.hours + 24.0 * when)


def _transit(future: Future, decided: Floats) -> Floats:
    """Hours from departure to shelf of what is decided at an hour, (N, T), with what calendars add
    on the way and on arrival."""
    if future.waits is None:
        return future.lead_times * future.hours
    _, longer = _dated(future.waits.longer, future, decided)
    _, waiting = _dated(future.waits.leaves, future, decided)
    took = (future.lead_times + longer) * future.hours - 24.0 * waiting
    return np.maximum(took, 0.0)


def _dated(values: Integers, future: Future, hours: Floats | float) -> tuple[Integers, Integers]:
    """Of values by row and period, (N, T), those of the periods in which these hours lie, and the
    periods, (N, T) each."""
    shape = future.lead_times.shape
    at = np.clip(np.floor_divide(hours, future.hours), 0, shape[1] - 1).astype(np.int64)
    at = np.broadcast_to(at, shape)
    return at, np.take_along_axis(np.broadcast_to(values, shape), at, axis=1)


def _during(effect: Effect, moments: Floats) -> np.ndarray:
    return (effect.starts <= moments) & (moments < effect.ends)


def _admitted(effects: Sequence[Effect], future: Future, arrives: Floats) -> Floats:
    """When goods that reach a place are let in, hours; shape of `arrives`, (N, ...)."""
    for effect in effects:
        if effect.kind == "port_delay":
            held = _rows(effect, future)[:, None] & _during(effect, arrives)
            arrives = np.where(held, arrives + effect.size * 24, arrives)
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
    usual = future.lead_times[:, :1] * future.hours
    for effect in effects:
        if effect.kind == "hub_blocked":
            here, after = _after(effect, future, usual)
            ahead = usual - after  # from the hub to the shelf
            stuck = here[:, None] & _during(effect, due - ahead)
            due = np.where(stuck, effect.ends + ahead, due)
    comes = np.ceil(_admitted(effects, future, due) / future.hours - 1e-9).astype(np.int64)
    arriving = np.zeros((len(comes), max(columns, int(comes.max(initial=0)) + 1)))
    np.add.at(arriving, (np.arange(len(comes))[:, None], comes), future.arriving)
    return arriving
