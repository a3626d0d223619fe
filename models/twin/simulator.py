"""The one physics of the house: what stock, orders and costs become of a policy when demand is
revealed period by period.

Planning's rehearsal, replay of history, scenarios and learning all step through this loop, in the
order of the clock contract (models/domain.py): receive, decide, sell, book. Nothing here is random;
chance enters as arrays (demand, lead times), so two policies given the same arrays meet the same
luck. State is kept time-major, (T, N), one contiguous row a period; what callers see are its
transposes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.domain import Economics, Floats, Integers, Policy, Situation, recent_mean
from models.replenishment.calendars import Waits
from models.replenishment.decision import Terms, take_steps
from models.replenishment.order_rounding import Lots, Sharing
from models.replenishment.stock_projection import within_reach
from models.twin.ageing import Shelf
from models.twin.in_transit import Pipeline
from models.twin.lane_queues import Departures, LaneQueue
from models.twin.network import Network
from models.twin.outlook import Outlook

#: Makes the forecast for the decision of period t from what is known by then: sample paths (N, S,
#: H)
Forecaster = Callable[[int], Floats | None]
#: The step after which an order is what the node asks for; the rest is what others leave of it.
ASKED = "override"
#: What can be recorded period by period.
BOOKS = ("requested", "shipped", "received", "lost", "on_hand", "on_order", "owed")
#: What is always added up over the periods, as costs follow from it; lines are orders with units.
SUMS = ("lines", "lost", "on_hand", "owed")


@dataclass(frozen=True)
class InForce:
    """What is known of events in each period, while they are in force: the periods that an order
    placed then takes longer, by lane, (E, T), and by how much demand is multiplied, (N, T)."""

    longer: Integers
    surge: Floats


@dataclass(frozen=True)
class SimulationResult:
    """What happened: units and money by node and period, each of shape (N, T); requested, shipped
    and freight by lane, (E, T).

    requested: feasible quantities the policy asked for. shipped: what was sent (less, where a
    shipping node was short). received: arrivals. sold: demand met from stock. lost: demand not met
    in its period. on_hand: stock at the end of the period. on_order: units on the way at the end.
    owed: units owed to customers at the end (backlog). initial_stock: (N,) units on hand and on the
    way before the first period. spoiled: stock that nobody bought in time. holding, shortage,
    ordering, waste: cost booked, in the world's currency; freight: what moving the goods cost;
    beside the cost, as every policy pays it on every unit it sells and the margin lost with a sale
    is net of it.

    books: the recorded ones, (T, N) or (T, E). sums: over all periods, (N,) or (E,), recorded or
    not. Asking for a book that was not recorded raises ValueError.
    """

    network: Network
    demand: Floats
    initial_stock: Floats
    books: Mapping[str, Floats]
    sums: Mapping[str, Floats]

    def _book(self, name: str) -> Floats:
        if name not in self.books:
            raise ValueError(f"{name} was not recorded: name it in simulate(record=...)")
        return self.books[name].T

    @property
    def requested(self) -> Floats:
        """Units asked for by lane, (E, T)."""
        return self._book("requested")

    @property
    def shipped(self) -> Floats:
        """Units sent by lane, (E, T)."""
        return self._book("shipped")

    @property
    def received(self) -> Floats:
        """Units that arrived, (N, T)."""
        return self._book("received")

    @property
    def lost(self) -> Floats:
        """Units of demand not met in their period, (N, T)."""
        return self._book("lost")

    @property
    def on_hand(self) -> Floats:
        """Units in stock at the end of the period, (N, T)."""
        return self._book("on_hand")

    @property
    def on_order(self) -> Floats:
        """Units on the way at the end of the period, (N, T)."""
        return self._book("on_order")

    @property
    def owed(self) -> Floats:
        """Units owed to customers at the end of the period, (N, T)."""
        return self._book("owed")

    @property
    def withdrawn(self) -> Floats:
        """Units of stock taken back at the start of the period, (N, T)."""
        return (
            self.books["withdrawn"].T if "withdrawn" in self.books else np.zeros_like(self.demand)
        )

    @property
    def spoiled(self) -> Floats:
        """Units of stock that nobody bought in time, thrown away at the end of the period, or as
        they arrived, (N, T)."""
        return self.books["spoiled"].T if "spoiled" in self.books else np.zeros_like(self.demand)

    @cached_property
    def sold(self) -> Floats:
        """Units of demand met from stock in their own period, (N, T)."""
        return self.demand - self.lost

    @cached_property
    def holding(self) -> Floats:
        """Cost of the stock left at the end of each period, (N, T)."""
        return self.network.economics.holding[:, None] * self.on_hand

    @cached_property
    def shortage(self) -> Floats:
        """Cost of the units lost for good and of those owed at the end of each period, (N, T)."""
        return self.network.economics.shortage[:, None] * self._missing(self._book)

    @cached_property
    def ordering(self) -> Floats:
        """Fixed cost of the order lines of each period, (N, T)."""
        lines = self.network.by_node((self.shipped > 0).astype(np.float64))
        return self.network.economics.order_cost[:, None] * lines

    @cached_property
    def freight(self) -> Floats:
        """Money paid for moving the goods, by lane, (E, T)."""
        return self.network.freight_per_unit[:, None] * self.shipped

    @cached_property
    def waste(self) -> Floats:
        """What the spoiled units had cost to buy, (N, T)."""
        return self.network.economics.unit_cost[:, None] * self.spoiled

    @cached_property
    def cost(self) -> Floats:
        """The costs a policy is judged by, shape (N, T): all but freight."""
        booked = self.holding + self.shortage + self.ordering
        return booked + self.waste if "spoiled" in self.books else booked

    @property
    def total_cost(self) -> Floats:
        """The costs a policy is judged by over all periods, (N,); known whatever was recorded."""
        economics = self.network.economics
        booked = (
            economics.holding * self.sums["on_hand"]
            + economics.shortage * self._missing(self.sums.__getitem__)
            + economics.order_cost * self.network.by_node(self.sums["lines"])
        )
        if "spoiled" not in self.books:
            return booked
        return booked + economics.unit_cost * self.books["spoiled"].sum(axis=0)

    @property
    def gone(self) -> Floats:
        """Units of demand never met, as nobody waits for them, (N, T)."""
        return (1 - self.network.economics.waits) * self.lost

    def _missing(self, units: Callable[[str], Floats]) -> Floats:
        """What a shortage costs: the units gone, and those owed at the end of each period."""
        waits = self.network.economics.waits
        if waits == 0:
            return units("lost")
        return units("owed") if waits == 1 else (1 - waits) * units("lost") + units("owed")

    @property
    def fill_rate(self) -> float:
        """The share of demand met from stock in its own period; 1 where there was no demand."""
        asked = float(self.demand.sum())
        return (asked - float(self.sums["lost"].sum())) / asked if asked > 0 else 1.0

    @property
    def purchase_value(self) -> Floats:
        """Cash committed to suppliers by period, shape (T,): units bought times unit cost;
        transfers cost no cash.
        """
        network = self.network
        bought = np.where((network.supplied_from < 0)[:, None], self.shipped, 0.0)
        return (bought * network.economics.unit_cost[network.to][:, None]).sum(axis=0)

    def bullwhip(self, nodes: Integers | np.ndarray) -> float:
        """How much more orders vary than the demand they serve: variance of orders over variance of
        demand, summed over nodes.

        A shipping node's demand is that of all below it. Both are added up by review interval
        first; nan where demand is constant.
        """
        below = self.network.echelons.demand(self.demand)
        review = self.network.review
        whole = below.shape[1] // review * review
        orders, served = (
            part[nodes, :whole].reshape(-1, whole // review, review).sum(axis=2).var(axis=1).sum()
            for part in (self.network.by_node(self.requested), below)
        )
        return float(orders / served) if served > 0 else float("nan")


def simulate(
    network: Network,
    policy: Policy,
    demand: Floats,
    on_hand: Floats,
    *,
    pipeline: Floats | None = None,
    arriving: Floats | None = None,
    history: Floats | None = None,
    forecaster: Forecaster | None = None,
    lead_times: Integers | None = None,
    lead_time_paths: Integers | None = None,
    phase: Integers | None = None,
    order_periods: int | None = None,
    terms: Terms | Sequence[Terms] | None = None,
    service_level: Floats | None = None,
    withdrawn: Floats | None = None,
    waits: Waits | None = None,
    shelf: Shelf | None = None,
    queues: Sequence[LaneQueue] = (),
    told: InForce | None = None,
    record: Collection[str] = BOOKS,
) -> SimulationResult:
    """Let a policy run the stock through known demand and book what it costs.

    demand: (N, T) units, no NaN; the transpose of a contiguous (T, N) array is not copied. on_hand:
    (N,) before period 0's receipts. pipeline: (E, K) open orders by lane, column k due at the start
    of period k. arriving: (E, K') the same units as they really come, none sooner than due; left
    out, as due. history: (N, T0) demand before period 0, NaN where unknown. forecaster: sample
    paths by period; a shipping node's own row is its direct demand, what is asked downstream is
    added here. lead_times: (E, T) the lead time an order of period t really takes; left out, the
    planned one. lead_time_paths: (E, S) what the policy believes about them. phase: (T0 + T + H,)
    position in the year of every period from the first of history on. order_periods: decisions are
    made in the first so many periods only. terms: what orders have to obey beside minimum and
    multiple, so that what is judged is what would be ordered, the same in every period or one for
    each; left out, nothing. service_level: (N,) what somebody promised, 0 where nobody did.
    withdrawn: (N, T) share of the stock that is taken back, by a recall, before anything is
    decided. waits: what calendars of suppliers and places add to all lead times and windows, by
    lane and period. shelf: how long goods keep; what spoils is gone at the end of the last period
    in which it can be sold, before cost is booked. queues: lanes that take only so much in each
    period in which orders are placed; what does not fit has left its source, is promised as usual,
    and waits. told: what policies are told of events in force; left out, nothing. record: the books
    to keep by period (BOOKS); sums, costs over all periods and what spoils are always kept. Raises
    ValueError for NaN or negative demand, for shapes that do not fit and for books that do not
    exist.
    """
    _check(
        network,
        demand,
        on_hand,
        by_lane={"pipeline": pipeline, "arriving": arriving, "lead_times": lead_times},
        history=history,
        record=record,
    )
    if (arriving is not None or waits or queues) and lead_times is None:  # then the planned ones
        lead_times = np.repeat(network.lead_time[:, None], demand.shape[1], axis=1)
    run = _Run(
        network, demand, on_hand, pipeline, arriving, lead_times, waits, shelf, queues, record
    )
    sight = _Sight(
        network, run.demand, history, forecaster, lead_time_paths, phase, service_level, waits, told
    )
    periods = demand.shape[1]
    last = periods if order_periods is None else min(periods, order_periods)
    if isinstance(terms, Sequence) and terms and len(terms) != periods:
        raise ValueError(f"simulate: terms are given for {len(terms)} of {periods} periods")
    for t in range(periods):
        run.receive(t)
        if withdrawn is not None and withdrawn.size:
            run.withdraw(t, withdrawn[:, t])
        if t < last and t % network.review == 0:
            coming = run.on_way.seen()
            view = sight.view(t, run.stock, coming, run.owed)
            obeyed = terms[t] if isinstance(terms, Sequence) and terms else terms
            if not isinstance(obeyed, Terms):
                run.order(t, *_decide(network, policy, view, run.stock, run.lots, run.sharing))
            else:
                decided = (view, policy, obeyed, run.stock, coming)
                run.order(t, *_settled(network, forecaster, t, *decided))
        run.sell(t)
        run.book(t)
    return SimulationResult(network, demand, run.initial_stock, run.kept, run.totals())


def _settled(
    network: Network,
    forecaster: Forecaster | None,
    t: int,
    view: Situation,
    policy: Policy,
    terms: Terms,
    stock: Floats,
    coming: Floats,
) -> tuple[Floats, Floats]:
    """Step 2 with terms: what is asked of each lane and what is sent on it, (E,) each; a decision
    that was made in exactly this state before, on this outlook, is made again the same.
    """

    def anew() -> tuple[Floats, Floats]:
        made = take_steps(view, policy, terms, on_hand=stock, pipeline=coming)
        return made.by_lane(ASKED), made.ordered

    if terms.sources.size != network.to.size:
        raise ValueError(
            f"simulate: terms are for {terms.sources.size} lanes, not for {network.to.size}"
        )
    if not isinstance(forecaster, Outlook):
        return anew()
    state = b"".join(part.tobytes() for part in (stock, coming, view.backlog))
    return forecaster.decision((t, policy.name, id(policy), id(terms), state), anew)


def _decide(
    network: Network,
    policy: Policy,
    view: Situation,
    stock: Floats,
    lots: list[Lots],
    sharing: Sharing,
) -> tuple[Floats, Floats]:
    """Step 2 without terms: what is asked of each lane and what is sent on it, (E,) each.

    The same as the steps of models.replenishment.decision where nothing but lots and stock stands
    in the way, for nodes that may have several lanes, at the speed that learning needs.

    view: what the policy sees, a shipping node as its echelon. stock: (N,) units each node can
    ship. lots: by turn of the network's lanes. A node's need is split over its lanes by share, each
    lane rounded up to what it can bring, so that a later lane only brings what the lanes before it
    left open.
    """
    wanted = policy.order(view)
    is_tree = network.is_tree
    requested = lots[0].round_up(wanted) if is_tree else network.lanes.split(wanted, lots)
    return requested, sharing.share_out(requested, stock)


class _Run:
    """The state of one simulation and the four steps of a period; receive, order, sell and book
    change it in place.
    """

    def __init__(
        self,
        network: Network,
        demand: Floats,
        on_hand: Floats,
        pipeline: Floats | None,
        arriving: Floats | None,
        lead_times: Integers | None,
        waits: Waits | None,
        shelf: Shelf | None,
        queues: Sequence[LaneQueue],
        record: Collection[str],
    ) -> None:
        count, periods = network.size, demand.shape[1]
        self.network, self.demand = network, np.ascontiguousarray(demand.T)
        self.stock, self.owed = on_hand.astype(np.float64), np.zeros(count)
        self.waits = network.economics.waits
        self.is_backlog = self.waits > 0
        self.has_fixed_cost = bool(network.economics.order_cost.any())
        self.sharing = Sharing(network.supplied_from, network.order_multiple)
        self.lots = network.lanes.lots(network.moq, network.order_multiple)
        actual = None if lead_times is None else np.ascontiguousarray(lead_times.T)
        planned = None
        if waits is not None and actual is not None:
            actual = np.maximum(actual + waits.longer.T, 0)
            planned = network.lead_time + waits.longer.T
        due = np.zeros((count, 0)) if pipeline is None else network.by_node(pipeline)
        comes = due if arriving is None else network.by_node(arriving)
        longest = network.lead_time if actual is None else actual
        self.departures = None
        if queues:
            self.departures = Departures(queues, np.arange(periods) % network.review == 0)
        waiting = periods if queues else 0
        reach = max(int(longest.max(initial=0)) + waiting, due.shape[1], comes.shape[1])
        self.on_way = Pipeline(network, reach, actual, planned)
        self.on_way.load(due, comes)
        self.initial_stock = self.stock + due.sum(axis=1)
        lanes = network.to.size
        size = {"requested": lanes, "shipped": lanes, "lines": lanes}
        self.kept = {
            name: np.zeros((periods, size.get(name, count))) for name in BOOKS if name in record
        }
        self.sums = {
            name: np.zeros(size.get(name, count)) for name in SUMS if name not in self.kept
        }
        self._sold, self._lost = np.empty(count), np.empty(count)
        self.ageing = None if shelf is None else shelf.start(network, self.stock, periods)
        if self.ageing is not None:
            self.kept["spoiled"] = np.zeros((periods, count))

    def receive(self, t: int) -> None:
        """Step 1: what is due comes in."""
        arrived = self.on_way.advance()
        self.stock += arrived
        if "received" in self.kept:
            self.kept["received"][t] = arrived
        if self.ageing is not None:
            self._throw_away(t, self.ageing.nodes, self.ageing.receive(t, arrived))

    def withdraw(self, t: int, share: Floats) -> None:
        """The end of step 1: so much of the stock is taken back, in whole units unless it is
        all.
        """
        units = np.where(share >= 1.0, self.stock, np.floor(self.stock * share))
        self.stock -= units
        if self.ageing is not None:
            self.ageing.take(t, units[self.ageing.nodes])
        self.kept.setdefault("withdrawn", np.zeros(self.demand.shape))[t] = units

    def order(self, t: int, requested: Floats, shipped: Floats) -> None:
        """The end of step 2: goods leave their sources and start on their lanes."""
        if self.sharing.sources.size:
            self.stock[self.sharing.sources] -= self.sharing.leaving(shipped)
        if self.departures is None:
            self._send(t, shipped, 0)
        else:
            for later, part in self.departures.book(t, shipped):
                self._send(t, part, later)
        if "requested" in self.kept:
            self.kept["requested"][t] = requested
        if "shipped" in self.kept:
            self.kept["shipped"][t] = shipped
        if self.has_fixed_cost:
            self.sums["lines"] += shipped > 0

    def _send(self, t: int, shipped: Floats, later: int) -> None:
        if self.ageing is not None:
            self.ageing.ship(t, shipped, self.on_way.takes(later))
        at_once = self.on_way.send(shipped, later)
        if at_once is not None:
            here = self.network.by_node(at_once)
            self.stock += here
            if self.ageing is not None:
                self.ageing.bring(t, at_once)
            if "received" in self.kept:
                self.kept["received"][t] += here

    def sell(self, t: int) -> None:
        """Step 3: demand happens; under backlog what is owed is served first, and of what is not
        met so much as customers wait for is owed. What nobody can be sold any more is thrown away.
        """
        before = self.stock.copy() if self.ageing is not None else self.stock
        if self.is_backlog:
            served = np.minimum(self.stock, self.owed)
            self.stock -= served
            self.owed -= served
        np.minimum(self.stock, self.demand[t], out=self._sold)
        np.subtract(self.demand[t], self._sold, out=self._lost)
        self.stock -= self._sold
        if self.is_backlog:
            self.owed += self._lost if self.waits == 1 else self.waits * self._lost
        if self.ageing is not None:
            nodes = self.ageing.nodes
            self.ageing.take(t, (before - self.stock)[nodes])
            self._throw_away(t, nodes, self.ageing.spoil(t))

    def _throw_away(self, t: int, nodes: Integers, units: Floats) -> None:
        gone = np.minimum(units, self.stock[nodes])  # but for what rounding leaves, the units
        self.stock[nodes] -= gone
        self.kept["spoiled"][t, nodes] += gone

    def book(self, t: int) -> None:
        """Step 4: the end stock and what was lost or is owed, from which costs follow."""
        self._note("lost", t, self._lost)
        self._note("on_hand", t, self.stock)
        if self.is_backlog:
            self._note("owed", t, self.owed)
        if "on_order" in self.kept:
            self.kept["on_order"][t] = self.on_way.total()

    def totals(self) -> dict[str, Floats]:
        """All sums over the periods, by name."""
        added = {name: book.sum(axis=0) for name, book in self.kept.items() if name in SUMS}
        return self.sums | added

    def _note(self, name: str, t: int, values: Floats) -> None:
        if name in self.kept:
            self.kept[name][t] = values
        else:
            self.sums[name] += values


class _Sight:
    """What policies see: all that does not change is worked out once, with every shipping node
    lifted to its echelon.
    """

    def __init__(
        self,
        network: Network,
        demand: Floats,
        history: Floats | None,
        forecaster: Forecaster | None,
        lead_time_paths: Integers | None,
        phase: Integers | None,
        service_level: Floats | None,
        waits: Waits | None = None,
        told: InForce | None = None,
    ) -> None:
        self.waits, self.took, self.told = waits, lead_time_paths, told
        self.network, self.echelons, self.forecaster = network, network.echelons, forecaster
        self.has_parents = bool(self.echelons.parents.size)
        past = np.zeros((0, network.size)) if history is None else history.T
        self.first = self.lifted = len(past)
        self.own = np.concatenate([past, demand]) if self.first else demand
        # What usual demand stands for an unknown one changes with time: then history is lifted anew
        # at every decision.
        self.lifts_anew = bool(self.has_parents and np.isnan(past).any())
        self.seen = self.own
        if self.has_parents and not self.lifts_anew:
            self.seen = np.empty(self.own.shape)
            self.seen[: self.first] = self.echelons.history(past.T).T
        nothing = np.zeros((0, 0), dtype=np.int64)
        # Where all below a parent cost the same, so does their mean, whatever they sell.
        self.economics: Economics | None = network.economics
        if self.has_parents:
            shortage = self.echelons.equal_shortage(network.economics.shortage)
            self.economics = (
                None if shortage is None else replace(network.economics, shortage=shortage)
            )
        self.usual = Situation(
            on_hand=np.zeros(network.size),
            pipeline=np.zeros((network.size, 0)),
            history=self.own[:0].T,
            paths=None,
            lead_time=self._to_shelves(network, network.lead_time),
            review=network.review,
            economics=network.economics,
            lead_time_paths=nothing
            if lead_time_paths is None
            else self._to_shelves(network, lead_time_paths),
            phase=np.zeros(0, dtype=np.int64) if phase is None else phase,
            moq=network.where_single(network.moq),
            order_multiple=network.where_single(network.order_multiple),
            service_level=np.zeros(0) if service_level is None else service_level,
        )

    def _to_shelves(self, network: Network, lead_time: Integers) -> Integers:
        return network.longest_by_node(lead_time) + self.echelons.way_down(lead_time)

    def _usual(self, t: int) -> Situation:
        """What is the same in every state of a period: all of it, but for what calendars add."""
        if self.waits is None:
            return self.usual
        network, longer = self.network, self.waits.longer[:, t]
        sampled = self.usual.lead_time_paths
        if self.took is not None:
            took = np.maximum(self.took + longer[:, None], 0)
            sampled = self._to_shelves(network, took)
        return replace(
            self.usual,
            lead_time=self._to_shelves(network, network.lead_time + longer),
            lead_time_paths=sampled,
            gap=network.longest_by_node(self.waits.gaps[:, t]),
        )

    def view(self, t: int, stock: Floats, pipeline: Floats, owed: Floats) -> Situation:
        """The situation at step 2 of period t; its arrays are the simulator's own and hold until
        the policy has answered.
        """
        until = self.first + t
        known = self.forecaster if isinstance(self.forecaster, Outlook) else None
        paths = self.forecaster(t) if self.forecaster and known is None else None
        economics = self.economics or self._economics(until, known(t) if known else paths)
        history = self.own[:until].T
        if self.has_parents:
            history = self._history(until)
            stock = self.echelons.stock(stock, stock + pipeline.sum(axis=1) - owed)
            paths = None if paths is None else self.echelons.paths(paths)
        seen = within_reach(
            replace(
                self._usual(t),
                on_hand=stock,
                pipeline=pipeline,
                history=history,
                paths=paths if known is None else known.lifted(t, self.network),
                backlog=owed,
                economics=economics,
            )
        )
        seen = seen if known is None else known.remembered(t, seen)
        return seen if self.told is None else self._informed(t, seen, self.told)

    def _informed(self, t: int, seen: Situation, told: InForce) -> Situation:
        """The situation with what is told of events in force, where any is."""
        longer, surge = told.longer[:, t], told.surge[:, t]
        if not longer.any() and (surge == 1.0).all():
            return seen
        usual = self.network.lead_time
        later = self._to_shelves(self.network, usual + longer)
        if self.has_parents and seen.paths is not None:
            # a centre's demand is that of all below it
            mean = recent_mean(seen.history)
            mean[self.echelons.parents] = 1e-9
            surge = self.echelons.demand(mean * surge) / np.maximum(
                self.echelons.demand(mean), 1e-12
            )
        return replace(
            seen,
            delay=later - self._to_shelves(self.network, usual),
            surge=surge,
        )

    def _economics(self, until: int, paths: Floats | None) -> Economics:
        economics = self.usual.economics
        shortage = self.echelons.shortage(economics.shortage, self.own[:until].T, paths)
        return replace(economics, shortage=shortage)

    def _history(self, until: int) -> Floats:
        """Demand of all periods before `until`, (N, until), parents' with all that was sold below
        them.
        """
        if self.lifts_anew:
            return self.echelons.history(self.own[:until].T)
        for period in range(self.lifted, until):
            self.seen[period] = self.echelons.demand(self.own[period])
        self.lifted = until
        return self.seen[:until].T


def _check(
    network: Network,
    demand: Floats,
    on_hand: Floats,
    *,
    by_lane: Mapping[str, Floats | Integers | None],
    history: Floats | None,
    record: Collection[str],
) -> None:
    unknown = sorted(set(record) - set(BOOKS))
    if unknown:
        raise ValueError(
            f"simulate: no book is called {', '.join(unknown)}; there are {', '.join(BOOKS)}"
        )
    for name, given in {"demand": demand, "on_hand": on_hand, "history": history}.items():
        if given is not None and given.shape[0] != network.size:
            raise ValueError(f"simulate: {name} has {given.shape[0]} rows for {network.size} nodes")
    for name, values in by_lane.items():
        if values is not None and values.shape[0] != network.to.size:
            raise ValueError(
                f"simulate: {name} has {values.shape[0]} rows for {network.to.size} lanes"
            )
    _check_arrivals(by_lane["pipeline"], by_lane["arriving"])
    lead_times = by_lane["lead_times"]
    if lead_times is not None and lead_times.shape[1] != demand.shape[1]:
        raise ValueError(
            f"simulate: lead_times covers {lead_times.shape[1]} periods, demand {demand.shape[1]}"
        )
    lowest = demand.min(initial=0)  # NaN where any is
    if np.isnan(lowest):
        row, period = np.argwhere(np.isnan(demand))[0]
        raise ValueError(
            f"simulate: demand of node {row} in period {period} is unknown; say what it is read as"
        )
    if lowest < 0 or (on_hand < 0).any():
        raise ValueError("simulate: demand and stock on hand must not be negative")


def _check_arrivals(due: Floats | Integers | None, arriving: Floats | Integers | None) -> None:
    if arriving is None:
        return
    if due is None:
        raise ValueError("simulate: arriving says when the open orders of pipeline come; pass both")
    columns = max(due.shape[1], arriving.shape[1])
    planned, real = (
        np.pad(units, ((0, 0), (0, columns - units.shape[1]))).cumsum(axis=1)
        for units in (due, arriving)
    )
    wrong = np.flatnonzero(
        (real > planned + 1e-6).any(axis=1) | (np.abs(real - planned)[:, -1:] > 1e-6).any(axis=1)
    )
    if wrong.size:
        raise ValueError(
            f"simulate: arriving of lane {wrong[0]} is not what is due on it, or comes sooner than "
            "due"
        )
