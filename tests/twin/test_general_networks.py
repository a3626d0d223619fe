"""The simulator against a reference of plain loops, on random networks of up to four echelons with
several sources a node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from models.domain import Economics, Floats, Integers, Situation
from models.replenishment.policies import CappedBaseStock
from models.twin.ageing import Shelf
from models.twin.network import Network
from models.twin.simulator import BOOKS, SimulationResult, simulate


@dataclass
class Probe:
    """Base-stock that also looks at when goods are due and at the past; keeps what it saw."""

    level: Floats
    name: str = "probe"
    saw: list[dict[str, Any]] = field(default_factory=list)

    def order(self, situation: Situation) -> Floats:
        due = situation.pipeline
        usual = situation.history[:, -2:].sum(axis=1) / 4
        self.saw.append(
            {
                "on_hand": situation.on_hand.copy(),
                "due": {k: due[:, k].tolist() for k in range(due.shape[1]) if due[:, k].any()},
                "history": situation.history.copy(),
                "backlog": situation.backlog.copy(),
                "lead_time": situation.lead_time.copy(),
                "shortage": situation.economics.shortage.copy(),
            }
        )
        return np.maximum(self.level + usual - situation.position - due[:, :1].sum(axis=1) / 2, 0)


@dataclass(frozen=True)
class Case:
    """A network and its luck."""

    network: Network
    demand: Floats
    on_hand: Floats
    pipeline: Floats
    history: Floats
    lead_times: Integers | None
    level: Floats
    shelf: Shelf | None = None

    def run(self, policy: Probe) -> SimulationResult:
        return simulate(
            self.network,
            policy,
            self.demand,
            self.on_hand,
            pipeline=self.pipeline,
            history=self.history,
            lead_times=self.lead_times,
            shelf=self.shelf,
        )

    @property
    def spoiling(self) -> Case:
        """The same with goods that keep for 1 to 6 periods at two nodes of three, and a count of
        lots that has more than the stock here and less there."""
        random = np.random.default_rng(int(self.demand.sum()))
        count = self.network.size
        life = np.where(random.random(count) < 2 / 3, random.integers(1, 7, count), np.inf)
        lots = random.integers(0, 5, (count, 5)) * (random.random((count, 1)) < 0.6)
        return replace(self, shelf=Shelf(life=life, lots=lots.astype(float)))


def random_case(seed: int, waits: float, is_random: bool, may_cross: bool) -> Case:
    """One to four echelons of one to three nodes in any order, each with one to three sources;
    every third is a plain tree. waits: the share of unmet demand that does.
    """
    random = np.random.default_rng(seed)
    widths = random.integers(1, 4, random.integers(1, 5))
    count = int(widths.sum())
    names = random.permutation(count)
    lanes: list[tuple[int, int, float]] = []
    above: list[int] = []
    for start, width in zip(np.cumsum(widths) - widths, widths, strict=True):
        for node in names[start : start + width]:
            sources = random.permutation([-1, *above])
            several = [1, 1, 2, 3] if seed % 3 else [1]
            chosen = sources[: random.choice(several)] if above else [-1]
            share = random.multinomial(4, np.full(len(chosen), 1 / len(chosen))) / 4
            lanes += [
                (int(source), int(node), float(part))
                for source, part in zip(chosen, share, strict=True)
            ]
        above += names[start : start + width].tolist()
    if seed % 3:
        lanes = [lanes[k] for k in random.permutation(len(lanes))]
    else:
        lanes.sort(key=lambda lane: lane[1])
    supplied_from, to, share = (np.array(part) for part in zip(*lanes, strict=True))
    planned = random.integers(0, 4, to.size)
    periods = 14
    lead_times = None
    if is_random and may_cross:
        lead_times = random.integers(0, 6, (to.size, periods))
    elif is_random:  # what leaves later comes no earlier
        lead_times = planned[:, None] + np.sort(random.integers(0, 4, (to.size, periods)), axis=1)
    costs = (random.integers(1, 9, count).astype(float) for _ in range(4))
    network = Network(
        lead_time=planned,
        economics=Economics(*costs, "backlog" if waits else "lost", waits or 1.0),
        supplied_from=supplied_from,
        review=int(random.integers(1, 4)),
        moq=random.choice([0.0, 0.0, 3.0, 7.0], to.size),
        order_multiple=random.choice([1.0, 1.0, 2.0, 5.0], to.size),
        to=to,
        share=share,
    )
    return Case(
        network,
        random.poisson(3, (count, periods)).astype(float),
        random.integers(0, 12, count).astype(float),
        random.integers(0, 3, (to.size, 3)).astype(float),
        random.poisson(3, (count, 5)).astype(float),
        lead_times,
        random.integers(5, 60, count).astype(float),
    )


cases = given(
    st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 0.25]), st.booleans(), st.booleans()
)
spoiling_cases = given(
    *(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 0.25])),
    *(st.booleans(), st.booleans(), st.booleans()),
)


#: Units by the last period in which they can be sold.
Lots = dict[float, float]


class Reference:
    """The clock contract written down node by node and order by order, with nothing prepared and
    nothing shared with the product.
    """

    def __init__(self, case: Case, policy: Probe) -> None:
        self.case, self.network, self.policy = case, case.network, policy
        self.nodes, self.lanes = range(case.network.size), range(case.network.to.size)
        self.stock = case.on_hand.tolist()
        self.owed = [0.0 for _ in self.nodes]
        # Every open order: when it arrives, when it is promised, its lane, its units, and those by
        # the last period in which they can be sold, where it was another node that sent them.
        self.open: list[tuple[int, int, int, float, Lots | None]] = [
            (k, k, e, float(case.pipeline[e, k]), None)
            for e in self.lanes
            for k in range(case.pipeline.shape[1])
        ]
        self.books: dict[str, list[list[float]]] = {name: [] for name in (*BOOKS, "spoiled")}
        shelf = case.shelf or Shelf(life=np.full(case.network.size, np.inf))
        self.life = shelf.life
        self.lots: list[Lots] = [{} for _ in self.nodes]
        for i in self.nodes:
            if shelf.lots.size:
                self.lots[i] = {k: float(units) for k, units in enumerate(shelf.lots[i])}
            self.take(i, max(sum(self.lots[i].values()) - self.stock[i], 0.0))
            self.put(i, 0, self.stock[i] - sum(self.lots[i].values()))

    def put(self, i: int, t: int, units: float, lots: Lots | None = None) -> None:
        """Goods arrive: fresh ones, or others' that get no later date."""
        fresh = t + self.life[i] - 1
        for until, part in (lots or {fresh: units}).items():
            kept = min(until, fresh)
            self.lots[i][kept] = self.lots[i].get(kept, 0.0) + part

    def take(self, i: int, units: float) -> Lots:
        """So many units leave a node, those that spoil first before others."""
        taken: Lots = {}
        for until in sorted(self.lots[i]):
            taken[until] = min(units, self.lots[i][until])
            units -= taken[until]
            self.lots[i][until] -= taken[until]
        return taken

    def spoiled(self, i: int, t: int) -> float:
        """What cannot be sold after a period is thrown away."""
        past = [until for until in self.lots[i] if until <= t]
        gone = sum(self.lots[i].pop(until) for until in past)
        self.stock[i] -= gone
        return gone

    def carried(self, t: int, sent: list[float]) -> dict[int, Lots]:
        """By lane what leaves on it, each sender's lanes one after the other from another one in
        each period on."""
        found: dict[int, Lots] = {}
        for node in self.nodes:
            lanes = self.outbound(node)
            for k in range(len(lanes)):
                e = lanes[(t + k) % len(lanes)]
                found[e] = self.take(node, sent[e])
        return found

    def inbound(self, node: int) -> list[int]:
        return [e for e in self.lanes if self.network.to[e] == node]

    def outbound(self, node: int) -> list[int]:
        return [e for e in self.lanes if self.network.supplied_from[e] == node]

    def below(self, node: int) -> dict[int, float]:
        """The share of each node's need that comes through this one."""
        reach: dict[int, float] = {}
        for e in self.outbound(node):
            child = int(self.network.to[e])
            for other, part in {child: 1.0, **self.below(child)}.items() if child != node else ():
                reach[other] = reach.get(other, 0.0) + float(self.network.share[e]) * part
        return reach

    def way_down(self, node: int) -> int:
        used = [e for e in self.outbound(node) if self.network.share[e] > 0]
        return max(
            (int(self.network.lead_time[e]) + self.way_down(int(self.network.to[e])) for e in used),
            default=0,
        )

    def situation(self, t: int) -> Situation:
        network, case = self.network, self.case
        due = [[0.0] * 12 for _ in self.nodes]
        for _, promise, e, units, _ in self.open:
            due[int(network.to[e])][max(promise - t, 1) - 1] += units
        own = np.concatenate([case.history, case.demand[:, :t]], axis=1)
        position = [self.stock[i] + sum(due[i]) - self.owed[i] for i in self.nodes]
        on_hand, history, shortage, lead = [], [], [], []
        for node in self.nodes:
            reach = self.below(node)
            on_hand.append(self.stock[node] + sum(part * position[i] for i, part in reach.items()))
            history.append(own[node] + sum(part * own[i] for i, part in reach.items()))
            used = [int(network.lead_time[e]) for e in self.inbound(node) if network.share[e] > 0]
            lead.append(max(used) + self.way_down(node))
            usual = {
                i: part * max(own[i, -26:].mean(), 1e-18) for i, part in reach.items() if part > 0
            }
            costs = network.economics.shortage
            mean = (
                sum(w * costs[i] for i, w in usual.items()) / sum(usual.values())
                if usual
                else costs[node]
            )
            shortage.append(mean)
        economics = Economics(
            network.economics.holding,
            np.array(shortage),
            network.economics.unit_cost,
            network.economics.order_cost,
            network.economics.unmet,
            network.economics.waiting_share,
        )
        return Situation(
            on_hand=np.array(on_hand),
            pipeline=np.array(due),
            history=np.array(history),
            paths=None,
            lead_time=np.array(lead),
            review=network.review,
            economics=economics,
            backlog=np.array(self.owed),
        )

    def asked(self, wanted: Floats) -> list[float]:
        """Each node's need over its lanes, the largest share first, each rounded to what its own
        multiple and minimum allow, and the last that has a share rounded up.
        """
        network, asked = self.network, [0.0 for _ in self.lanes]
        for node in self.nodes:
            given_so_far, share = 0.0, 0.0
            for e in sorted(self.inbound(node), key=lambda e: -float(network.share[e])):
                share += float(network.share[e])
                is_last = share > 1 - 1e-9
                missing = max((wanted[node] if is_last else wanted[node] * share) - given_so_far, 0)
                step = float(network.order_multiple[e])
                least = step * max(math.ceil(network.moq[e] / step - 1e-9), 1)
                if is_last and missing > 1e-9:
                    asked[e] = step * math.ceil(max(missing, network.moq[e]) / step - 1e-9)
                elif not is_last and missing >= least:
                    asked[e] = step * math.floor(missing / step + 0.5 + 1e-9)
                elif not is_last and missing >= least / 2:
                    asked[e] = least
                given_so_far += asked[e]
        return asked

    def sent(self, asked: list[float]) -> list[float]:
        """In full where a source suffices, else in proportion, then one multiple each to the
        largest remainders.
        """
        sent = list(asked)
        for node in self.nodes:
            mine = [e for e in self.outbound(node) if asked[e] > 0]
            total = sum(asked[e] for e in mine)
            if total <= self.stock[node]:
                continue
            step = {e: float(self.network.order_multiple[e]) for e in mine}
            fair = {e: asked[e] * (self.stock[node] / total) for e in mine}
            for e in mine:
                sent[e] = step[e] * math.floor(fair[e] / step[e] + 1e-9)
            left = self.stock[node] - sum(sent[e] for e in mine)
            for e in sorted(mine, key=lambda e: (-round((fair[e] - sent[e]) / step[e], 9), e)):
                if left >= step[e] - 1e-9 and sent[e] + step[e] <= asked[e] + 1e-9:
                    sent[e] += step[e]
                    left -= step[e]
        return sent

    def sell(self, i: int, asked: float) -> float:
        served = min(self.stock[i], self.owed[i])
        self.stock[i] -= served
        self.owed[i] -= served
        sold = min(self.stock[i], asked)
        self.stock[i] -= sold
        self.take(i, served + sold)
        if self.network.economics.unmet == "backlog":
            self.owed[i] += self.network.economics.waiting_share * (asked - sold)
        return asked - sold

    def run(self) -> dict[str, np.ndarray]:
        network, case = self.network, self.case
        for t in range(case.demand.shape[1]):
            received = [0.0 for _ in self.nodes]
            for arrive, _, e, units, lots in self.open:
                if arrive == t:
                    i = int(network.to[e])
                    received[i] += units
                    self.put(i, t, units, lots)
            self.open = [order for order in self.open if order[0] != t]
            for i in self.nodes:
                self.stock[i] += received[i]
            spoiled = [self.spoiled(i, t - 1) for i in self.nodes]
            asked = sent = [0.0 for _ in self.lanes]
            if t % network.review == 0:
                asked = self.asked(self.policy.order(self.situation(t)))
                sent = self.sent(asked)
                for e in self.lanes:
                    if network.supplied_from[e] >= 0:
                        self.stock[int(network.supplied_from[e])] -= sent[e]
                carried = self.carried(t, sent)
                for e in self.lanes:
                    i, lots = int(network.to[e]), carried.get(e)
                    planned = int(network.lead_time[e])
                    took = planned if case.lead_times is None else int(case.lead_times[e, t])
                    if took == 0:
                        self.stock[i] += sent[e]
                        received[i] += sent[e]
                        self.put(i, t, sent[e], lots)
                    else:
                        self.open.append((t + took, t + planned, e, sent[e], lots))
            lost = [self.sell(i, float(case.demand[i, t])) for i in self.nodes]
            spoiled = [gone + self.spoiled(i, t) for i, gone in enumerate(spoiled)]
            on_order = [sum(o[3] for o in self.open if network.to[o[2]] == i) for i in self.nodes]
            now = (
                asked,
                sent,
                received,
                lost,
                list(self.stock),
                on_order,
                list(self.owed),
                spoiled,
            )
            for name, values in zip(self.books, now, strict=True):
                self.books[name].append(values)
        return {name: np.array(rows).T for name, rows in self.books.items()}


@settings(max_examples=200, deadline=None)
@example(6737, 0.0, True, False, True)  # a node with several senders, whose last one's goods keep
@spoiling_cases
def test_every_book_and_all_a_policy_sees_are_those_of_plain_loops(
    seed: int, waits: float, is_random: bool, may_cross: bool, spoils: bool
) -> None:
    case = random_case(seed, waits, is_random, may_cross)
    case = case.spoiling if spoils else case
    ours, theirs = Probe(case.level), Probe(case.level)
    result = case.run(ours)
    expected = Reference(case, theirs).run()
    for seen, meant in zip(ours.saw, theirs.saw, strict=True):
        assert seen.pop("due") == meant.pop("due")
        for name, values in seen.items():
            assert values == pytest.approx(meant[name]), name
    for name, values in expected.items():
        assert getattr(result, name) == pytest.approx(values), name
    # a unit nobody waits for costs p once, one that is owed in every period
    missing = expected["owed"] + (1 - waits) * expected["lost"]
    assert result.shortage == pytest.approx(case.network.economics.shortage[:, None] * missing)


@settings(max_examples=80, deadline=None)
@spoiling_cases
def test_units_are_conserved_at_every_node_and_in_every_period(
    seed: int, waits: float, is_random: bool, may_cross: bool, spoils: bool
) -> None:
    case = random_case(seed, waits, is_random, may_cross)
    case = case.spoiling if spoils else case
    result, network = case.run(Probe(case.level)), case.network
    served = result.demand - result.gone - np.diff(result.owed, axis=1, prepend=0)
    assert result.gone == pytest.approx((1 - waits) * result.lost)
    for node in range(network.size):
        came = result.shipped[network.to == node].sum(axis=0)
        went = result.shipped[network.supplied_from == node].sum(axis=0)
        held = result.on_hand[node] + result.on_order[node]
        before = np.concatenate([[result.initial_stock[node]], held[:-1]])
        spoiled = result.spoiled[node]
        assert before + came - went - served[node] - spoiled == pytest.approx(held)
    for book in (
        result.on_hand,
        result.on_order,
        result.owed,
        result.shipped,
        result.sold,
        result.lost,
    ):
        assert (book >= -1e-9).all()
    assert (result.shipped <= result.requested + 1e-9).all()


@settings(max_examples=30, deadline=None)
@cases
def test_what_is_recorded_changes_nothing_but_what_can_be_asked(
    seed: int, waits: float, is_random: bool, may_cross: bool
) -> None:
    case = random_case(seed, waits, is_random, may_cross)
    whole = case.run(Probe(case.level))
    options = {"pipeline": case.pipeline, "history": case.history, "lead_times": case.lead_times}
    bare = simulate(
        case.network, Probe(case.level), case.demand, case.on_hand, **options, record=()
    )  # type: ignore[arg-type]
    assert bare.total_cost == pytest.approx(whole.cost.sum(axis=1))
    assert whole.total_cost == pytest.approx(whole.cost.sum(axis=1))
    assert bare.fill_rate == pytest.approx(whole.fill_rate)
    with pytest.raises(ValueError, match="on_hand was not recorded"):
        _ = bare.cost


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_where_nobody_waits_a_backlog_is_lost_sales(seed: int) -> None:
    lost = random_case(seed, 0.0, True, True)
    nobody = replace(lost.network.economics, unmet="backlog", waiting_share=0.0)
    waiting = replace(lost, network=replace(lost.network, economics=nobody))
    one, other = lost.run(Probe(lost.level)), waiting.run(Probe(lost.level))
    for name in (*BOOKS, "shortage", "gone"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
    with pytest.raises(ValueError, match=r"waiting_share is a share from 0 to 1, not 1\.5"):
        replace(lost.network, economics=replace(nobody, waiting_share=1.5))


def test_a_book_that_does_not_exist_is_refused_by_name() -> None:
    one = Network(np.array([1]), Economics(*np.ones((4, 1))))
    with pytest.raises(ValueError, match="no book is called stock"):
        simulate(one, Probe(np.ones(1)), np.ones((1, 2)), np.ones(1), record=("stock",))


@pytest.mark.parametrize(("lead", "level"), [(0, 8), (2, 18), (5, 34)])
def test_base_stock_under_backlog_costs_what_the_newsvendor_formula_says(
    lead: int, level: int
) -> None:
    # Demand of the L + 1 periods that a level covers is Poisson(5 (L + 1)), so the cost is exactly
    # h E[S - D]+ + p E[D - S]+.
    copies, periods = 400, 400
    random = np.random.default_rng(lead)
    economics = Economics(
        np.full(copies, 1.0), np.full(copies, 4.0), np.ones(copies), np.zeros(copies), "backlog"
    )
    result = simulate(
        Network(np.full(copies, lead), economics),
        CappedBaseStock(level=float(level), cap=np.inf),
        random.poisson(5.0, (copies, periods)).astype(float),
        np.full(copies, float(level)),
    )
    units = np.arange(400)
    chance = poisson.pmf(units, 5.0 * (lead + 1))
    expected = (chance * (np.maximum(level - units, 0) + 4 * np.maximum(units - level, 0))).sum()
    assert result.cost[:, 40:].mean() == pytest.approx(expected, rel=0.01)
