"""What to do about it: counter-measures as order lines that leave now, sized on what a scenario
would lose and judged by simulating them on the same futures.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.domain import Floats
from models.replenishment.supply_options import SupplyOption, SupplyOptions
from models.twin.event_effects import Future
from models.twin.network import Network
from models.twin.what_if import Z

#: Doing nothing, and what else can be done.
NOTHING = "do_nothing"
MEASURES = ("expedite", "re_route", "pre_build", "transfer", "substitute_supplier")
#: A line is tried in these sizes: so much of what would be lost, as quantiles over the futures.
SIZES = (0.5, 0.8, 0.95)
#: Expected money below which nobody would lift a telephone.
LEAST_SAVING = 1.0


@dataclass(frozen=True)
class Line:
    """One order of a measure. row: where it goes. giver: the row whose stock it takes, -1 for a
    supplier. arrives: periods from now, planned. premium: money a unit above the usual way.
    """

    row: int
    giver: int
    way: SupplyOption
    quantity: float
    arrives: int
    premium: float

    @property
    def is_usual(self) -> bool:
        """Whether it comes the way that goods usually come."""
        return self.way.name == "normal order"


def kind_of(way: SupplyOption, row: Mapping[str, object]) -> str | None:
    """Which measure a way belongs to; None for one that is none (buying ahead of a price)."""
    if way.name == "normal order":
        return "pre_build"
    if way.saves:
        return None
    if row["kind"] == "transfer":
        return "transfer" if way.kind == "transfer" else "re_route"
    return "expedite" if way.from_id == row["from_id"] else "substitute_supplier"


def propose(
    options: SupplyOptions,
    network: Network,
    lost: Floats,
    stock: Floats,
    closed: Collection[str] = (),
) -> dict[str, list[Line]]:
    """The lines of every measure that promise to save more than they cost.

    lost: (F, N, T) units that a scenario loses beyond what would be lost anyway, in F futures.
    stock: (N,) units that each place has now. What one line takes of a place's stock no other can.
    closed: suppliers from whom nothing can come instead.
    """
    by_row = _lost_below(network, np.maximum(lost, 0.0))
    left = {"pre_build": stock.copy(), "transfer": options.surplus.copy()}
    best: dict[str, dict[int, tuple[float, Line]]] = {name: {} for name in MEASURES}
    for row in np.flatnonzero(by_row.sum(axis=(0, 2)) > 0).tolist():
        said, usual = options.rows[row], options.normal(row)
        for way in [usual, *options.others(row)]:
            name = kind_of(way, said)
            if name is None or (name == "substitute_supplier" and way.from_id in closed):
                continue
            giver = _giver(options, row, way)
            room = way.most if giver < 0 else min(way.most, left[name][giver])
            down = network.echelons.way_down(network.lead_time)[row]
            need = by_row[:, row, way.periods + int(down) :].sum(axis=1)
            made = _sized(network, row, giver, replace(way, most=room), usual, need)
            if made and made[0] > best[name].get(row, (LEAST_SAVING, None))[0]:
                best[name][row] = made
        for name, there in left.items():
            if row in best[name] and (line := best[name][row][1]).giver >= 0:
                there[line.giver] -= line.quantity
    return {name: [line for _, line in found.values()] for name, found in best.items() if found}


def _sized(
    network: Network, row: int, giver: int, way: SupplyOption, usual: SupplyOption, need: Floats
) -> tuple[float, Line] | None:
    """The size of a way that is expected to save most, and so much; None where none saves."""
    economics = network.economics
    below = network.echelons.equal_shortage(economics.shortage) if network.is_parent.any() else None
    p = float((economics.shortage if below is None else below)[row])
    h, premium = float(economics.holding[row]), way.cost - usual.cost
    best: tuple[float, Line] | None = None
    for size in SIZES:
        quantity = way.quantity(float(np.quantile(need, size)))
        if quantity <= 0:
            continue
        used = np.minimum(quantity, need)
        # what nobody needs waits for a review interval, as any order that came too early
        saved = float((p * used - h * network.review * (quantity - used)).mean())
        saved -= premium * quantity
        if best is None or saved > best[0]:
            best = (saved, Line(row, giver, way, quantity, way.periods, premium))
    return best


def _giver(options: SupplyOptions, row: int, way: SupplyOption) -> int:
    if way.kind == "purchase":
        return -1
    return options.where.get((options.rows[row]["item_id"], way.from_id), -1)


def _lost_below(network: Network, lost: Floats) -> Floats:
    """What is lost at each node and below it, (F, N, T)."""
    return np.array([network.echelons.demand(one) for one in lost])


def carried_out(lines: Iterable[Line], future: Future) -> tuple[Future, Floats]:
    """A future in which the lines are ordered now, and the units (N,) that leave each row's stock
    for them.

    future: with its events in it. A line of the usual way takes what an order of the first period
    takes there; others arrive as planned.
    """
    lines = list(lines)
    taken = np.zeros(future.demand.shape[0])
    came = [int(future.lead_times[x.row, 0]) if x.is_usual else x.arrives for x in lines]
    due = _widened(future.due, [line.arrives for line in lines])
    arriving = _widened(future.arriving, [*came, *(line.arrives for line in lines)])
    for line, at in zip(lines, came, strict=True):
        due[line.row, line.arrives] += line.quantity
        arriving[line.row, max(at, line.arrives)] += line.quantity
        if line.giver >= 0:
            taken[line.giver] += line.quantity
    return replace(future, due=due, arriving=arriving), taken


def _widened(units: Floats, columns: Sequence[int]) -> Floats:
    more = max([units.shape[1], *(column + 1 for column in columns)]) - units.shape[1]
    return np.pad(units, ((0, 0), (0, more)))


@dataclass(frozen=True)
class Priced:
    """What a measure costs beside doing nothing, money: premium and all that follows from it, mean
    over the futures with 95 % confidence; negative is cheaper. lost: units of sales it saves.
    """

    measure: str
    lines: Sequence[Line]
    premium: float
    cost: float
    lower: float
    upper: float
    fill_rate: float
    lost: float

    @property
    def is_worth_it(self) -> bool:
        """Whether it is cheaper than doing nothing for sure."""
        return bool(self.upper < 0)


def priced(
    measure: str,
    lines: Sequence[Line],
    costs: tuple[Floats, Floats],
    lost: tuple[Floats, Floats],
    asked: Floats,
) -> Priced:
    """Price a measure from costs and lost units without and with it, (F,) each, on the same
    futures; asked: (F,) units of demand.
    """
    premium = sum(line.premium * line.quantity for line in lines)
    paired = costs[1] + premium - costs[0]
    wide = Z * float(paired.std(ddof=1)) / np.sqrt(paired.size) if paired.size > 1 else np.inf
    mean, saved = float(paired.mean()), float((lost[0] - lost[1]).mean())
    rate = float((1 - lost[1] / np.maximum(asked, 1e-9)).mean())
    return Priced(measure, lines, premium, mean, mean - wide, mean + wide, rate, saved)


def best(tried: Sequence[Priced]) -> str:
    """The cheapest measure that beats doing nothing for sure; else doing nothing."""
    worth = [one for one in tried if one.is_worth_it]
    return min(worth, key=lambda one: (one.cost, one.measure)).measure if worth else NOTHING
