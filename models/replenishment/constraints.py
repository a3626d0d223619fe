"""When not everything wanted can be bought: spend each unit of a scarce budget, weight or volume
where it saves most.

A budget here is what a review may buy for; what may be approved without a person is in
models/procurement/approval.py.

Every order line is a ladder of blocks: first the smallest quantity the supplier accepts, then one
multiple after the other. A block's value is the expected cost it saves. One more block never saves
more a unit than the one before it, so for one budget greedy is the linear programme; several
budgets or large minimums go to HiGHS, which also prices each limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal, Protocol

import numpy as np
import polars as pl
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components

from models.domain import SERIES, Floats, Situation
from models.replenishment.overrides import in_scope
from models.replenishment.plan_exceptions import SCHEMA, exception_of
from models.replenishment.stock_projection import expected_cost

#: A ladder has at most so many blocks; long orders climb several multiples a block.
BLOCKS = 24
#: Up to so many blocks in all the exact optimum is found; beyond, the answer is within GAP of the
#: bound.
EXACT = 400
GAP = 0.01
#: How often the price of one of two limits is halved: to its last digits.
BISECTIONS = 50


def room_of(location_id: str) -> str:
    """The name of the limit on what a place can hold."""
    return f"capacity of {location_id}"


def room_on(from_id: str, location_id: str, item_id: str | None = None) -> str:
    """The name of the limit on what a lane can take of a review's orders, of all goods or one
    item."""
    return f"lane {from_id} to {location_id}" + (f" for {item_id}" if item_id else "")


@dataclass(frozen=True)
class Limit:
    """A scarce resource: the rows' use of it a unit (0 where it does not concern them) must add up
    to at most `at_most`.

    name: as the planner wrote it, such as "budget" or "capacity of DC". use: (N,) per unit ordered,
    in the limit's own unit.
    counts_stock: whether what is there and on the way takes its part of the room first.
    """

    name: str
    use: Floats
    at_most: float
    counts_stock: bool = False

    def less(self, on_hand: Floats, pipeline: Floats) -> Limit:
        """The room left now for orders: the limit less stock (N,) and what is on the way (N, K), if
        it counts them."""
        if not self.counts_stock:
            return self
        held = float(self.use @ (np.maximum(on_hand, 0.0) + pipeline.sum(axis=1)))
        return replace(self, at_most=max(0.0, self.at_most - held), counts_stock=False)


@dataclass(frozen=True)
class Constraint:
    """A limit from the planner's workbook or the ledger, on what is ordered now.

    resource: what the limit counts. value: purchase value of all purchases; units, weight_kg or
    volume_m3: of all that goes to a place. scope: column -> value of the rows concerned, such as
    {"from_id": "SUP-1"} or {"location_id": "UK"}; empty for all.
    counts_stock: at_most is what a place can hold, so what is there and on the way has taken its
    part.
    """

    name: str
    at_most: float
    resource: Literal["value", "units", "weight_kg", "volume_m3"] = "value"
    scope: Mapping[str, str] = field(default_factory=dict)
    counts_stock: bool = False

    def limit(self, rows: pl.DataFrame) -> Limit:
        """The constraint in numbers for these rows; ValueError for a resource or scope the rows do
        not know."""
        inside = in_scope(rows, self.scope, f"constraint {self.name!r}")
        use: Floats = np.ones(rows.height)
        if self.resource == "value":
            use = rows["unit_cost"].to_numpy() * (rows["kind"] == "purchase").to_numpy()
        elif self.resource != "units":
            if (
                self.resource not in rows.columns
                or rows.filter(pl.Series(inside))[self.resource].null_count()
            ):
                raise ValueError(
                    f"constraint {self.name!r} counts {self.resource}, which is not known for "
                    "every item"
                )
            use = rows[self.resource].fill_null(0.0).to_numpy().astype(np.float64)
        return Limit(self.name, use * inside, self.at_most, self.counts_stock)


class Ordered(Protocol):
    """What a limit asks of a line that is proposed or ordered."""

    @property
    def kind(self) -> str:
        """`purchase` or `transfer`."""
        ...

    @property
    def item_id(self) -> str:
        """What is ordered."""
        ...

    @property
    def location_id(self) -> str:
        """Where it goes."""
        ...

    @property
    def from_id(self) -> str:
        """The supplier or place it comes from."""
        ...

    @property
    def unit_cost(self) -> float:
        """Price of one unit, in the world's currency."""
        ...

    @property
    def quantity(self) -> float:
        """Units."""
        ...


#: The columns of lines in a frame.
ORDERED = {
    "kind": pl.String,
    "item_id": pl.String,
    "location_id": pl.String,
    "from_id": pl.String,
    "unit_cost": pl.Float64,
    "quantity": pl.Float64,
}


def used(constraints: Sequence[Constraint], lines: Iterable[Ordered], rows: pl.DataFrame) -> Floats:
    """How much of every limit some lines use, (constraints,); rows: the planned items and
    locations, with what a limit may count."""
    ordered = pl.DataFrame(
        [{name: getattr(line, name) for name in ORDERED} for line in lines], schema=ORDERED
    )
    facts = rows.select(
        *SERIES, *(name for name in ("category", "weight_kg", "volume_m3") if name in rows.columns)
    )
    known = ordered.join(facts, on=list(SERIES), how="left", maintain_order="left")
    known = known.with_columns(
        pl.col(name).fill_null(0.0) for name in ("weight_kg", "volume_m3") if name in known.columns
    )
    return np.array(
        [
            float(constraint.limit(known).use @ known["quantity"].to_numpy())
            for constraint in constraints
        ]
    )


def less_stock(constraints: Sequence[Constraint], rows: pl.DataFrame) -> list[Constraint]:
    """The constraints with the room that the stock of other rows takes; rows: with on_hand,
    on_order and what a limit counts."""
    if rows.is_empty():
        return list(constraints)
    on_hand = rows["on_hand"].fill_null(0.0).fill_nan(0.0).to_numpy().astype(np.float64)
    on_order = rows["on_order"].fill_null(0.0).to_numpy().astype(np.float64)[:, None]
    counting = [one for one in constraints if one.counts_stock]
    left = {one.name: one.limit(rows).less(on_hand, on_order).at_most for one in counting}
    return [
        replace(one, at_most=left[one.name]) if one.counts_stock else one for one in constraints
    ]


def unkeepable(
    rows: pl.DataFrame, constraints: Sequence[Constraint]
) -> tuple[list[Constraint], pl.DataFrame]:
    """The constraints a plan can keep, and an error for every row of those that nobody can:
    exceptions as in `exceptions.SCHEMA`.

    A limit below zero, or none at all, leaves nothing to order; an item without the weight or
    volume a limit counts cannot be fitted into it.
    """
    exceptions, kept = [], []
    for constraint in constraints:
        inside = pl.Series(in_scope(rows, constraint.scope, f"constraint {constraint.name!r}"))
        if constraint.resource == "value":
            inside &= rows["kind"] == "purchase"
        if not constraint.at_most >= 0:
            reason = pl.lit(
                f"{constraint.name} is {constraint.at_most:g}: nothing can be ordered; enter 0 or "
                "more"
            )
            exceptions.append(
                exception_of(rows.filter(inside), "infeasible_limit", "error", reason)
            )
            continue
        kept.append(constraint)
        if constraint.resource in rows.columns:
            reason = pl.lit(
                f"its {constraint.resource} is not known, but {constraint.name} counts it: enter "
                "it in the item master"
            )
            exceptions.append(
                exception_of(
                    rows.filter(inside & rows[constraint.resource].is_null()),
                    "unknown_size",
                    "error",
                    reason,
                )
            )
    return kept, pl.concat(exceptions) if exceptions else pl.DataFrame(schema=SCHEMA)


def smallest_conflict(demands: Mapping[str, Floats], limits: Sequence[Limit]) -> list[str]:
    """The smallest group of demands and limits that cannot all be kept, by name; empty where
    everything fits.

    demands: by name, the least quantity of every row (N,), 0 where it asks nothing. A deletion
    filter: one after the other is left out, and for good where the rest still conflicts, so that
    without any one of the group's the others could be kept.
    """
    bounds = {limit.name: limit for limit in limits}

    def is_kept(names: Sequence[str]) -> bool:
        asked = [demands[name] for name in names if name in demands]
        if not asked:
            return True
        least = np.max(asked, axis=0)  # what uses least of every limit and still keeps every demand
        return all(
            float(bounds[name].use @ least) <= bounds[name].at_most * (1 + 1e-12) + 1e-9
            for name in names
            if name in bounds
        )

    group = [*demands, *bounds]
    if is_kept(group):
        return []
    for name in list(group):
        without = [other for other in group if other != name]
        if not is_kept(without):
            group = without
    return group


@dataclass(frozen=True)
class Fitted:
    """Quantities that keep every limit, and what the limits cost.

    quantity: (N,) units. value, bound: expected cost saved, and the most any solution could save;
    gap: their distance as a share of the bound. shadow_price: by limit, expected money saved by one
    more unit of it; 0 where it does not bind.
    """

    quantity: Floats
    value: float
    bound: float
    shadow_price: dict[str, float]

    @property
    def gap(self) -> float:
        """How far the solution may be from the best, as a share of the bound; 0 is proved best."""
        return max(0.0, (self.bound - self.value) / self.bound) if self.bound > 0 else 0.0


def fit(
    situation: Situation,
    need: Floats,
    smallest: Floats,
    multiple: Floats,
    limits: Sequence[Limit],
) -> Fitted:
    """Cut needed quantities, already feasible one by one, until every limit is kept, losing the
    least expected money.

    need, smallest, multiple: (N,) units. Raises ValueError for a limit below zero, which nothing
    can keep.
    """
    for limit in limits:
        if limit.at_most < 0 or not np.isfinite(limit.at_most):
            raise ValueError(
                f"limit {limit.name!r} is {limit.at_most}: it must be a number, 0 or more"
            )
    binding = [
        limit for limit in limits if float(limit.use @ need) > limit.at_most * (1 + 1e-12) + 1e-9
    ]
    touched = np.zeros(need.shape, dtype=bool)  # the other rows keep what they want
    for limit in binding:
        touched |= limit.use > 0
    asked = np.flatnonzero((need > 0) & touched)
    prices = dict.fromkeys((limit.name for limit in limits), 0.0)
    if not binding:
        return Fitted(need.astype(np.float64), 0.0, 0.0, prices)
    ladder = _ladder(need[asked], smallest[asked], multiple[asked])
    tried = np.concatenate([np.zeros((asked.size, 1)), ladder], axis=1)
    cost = expected_cost(situation, tried, asked)
    units = np.diff(ladder, axis=1, prepend=0.0)
    owner, block = np.nonzero(units > 0)
    saved = -np.diff(cost, axis=1)[owner, block]
    use = csr_array(np.stack([limit.use[asked][owner] * units[owner, block] for limit in limits]))
    untouched = np.delete(np.arange(need.size), asked)
    room = np.array(
        [limit.at_most - float(limit.use[untouched] @ need[untouched]) for limit in limits]
    )
    follows = _follows(owner)

    rows = vstack([use, follows]) if follows is not None else use
    most = np.concatenate([room, np.zeros(rows.shape[0] - room.size)])
    falling = _falling(saved, units[owner, block], owner)
    share, price, bound = _shared(falling, use.toarray(), room)
    prices |= dict(zip(prices, price.tolist(), strict=True))
    taken = np.floor(share + 1e-7)
    if saved.size <= EXACT or float(saved @ taken) < (1 - GAP) * bound:
        taken = _solve(saved, rows, most, fallback=taken)
    quantity = need.astype(np.float64)
    quantity[asked] = 0.0
    np.add.at(quantity, asked[owner], units[owner, block] * taken)
    return Fitted(quantity, float(saved @ taken), bound, prices)


def _shared(saved: Floats, use: Floats, room: Floats) -> tuple[Floats, Floats, float]:
    """The linear programme of what blocks save, (B,), within limits: use (L, B), room (L,). The
    share of every block, the price of every limit, and the most that can be saved.

    Limits on different goods are solved one group after the other; most groups have one limit that
    decides, few have two.
    """
    share, price = np.ones(saved.size), np.zeros(room.size)
    meets = csr_array((use > 0) @ (use > 0).T.astype(np.int64))
    _, group = connected_components(meets, directed=False)
    for label in np.unique(group):
        limits = np.flatnonzero(group == label)
        blocks = np.flatnonzero((use[limits] > 0).any(axis=0))
        if (use[limits] @ share <= room[limits] * (1 + 1e-12) + 1e-9).all():
            continue
        part = _group(saved[blocks], use[np.ix_(limits, blocks)], room[limits])
        share[blocks], price[limits] = part
    bound = np.maximum(saved - price @ use, 0.0).sum() + price @ room
    return share, price, float(bound)


def _group(saved: Floats, use: Floats, room: Floats) -> tuple[Floats, Floats]:
    """As `_shared`, for limits that share goods."""

    def is_kept(share: Floats) -> bool:
        return bool((use @ share <= room * (1 + 1e-12) + 1e-9).all())

    price = np.zeros(room.size)
    binding = np.flatnonzero(use.sum(axis=1) > room)
    for one in binding:
        share, price[one] = _greedy(saved, use[one], room[one])
        if is_kept(share):
            return share, price
        price[one] = 0.0
    for first, second in combinations(binding, 2):
        counted = use[first] > 0
        low, high = 0.0, float((saved[counted] / use[first][counted]).max())
        over, under = None, None
        for _ in range(BISECTIONS):  # the price of the first at which it is kept beside the second
            middle = (low + high) / 2
            share, other = _greedy(saved - middle * use[first], use[second], room[second])
            if use[first] @ share <= room[first] * (1 + 1e-12) + 1e-9:
                high, under = middle, (share, other)
            else:
                low, over = middle, share
        if under is None:
            continue
        share = under[0]
        if over is not None:  # at this price both save as much: so much of each that none is left
            over_use, under_use = float(use[first] @ over), float(use[first] @ share)
            share = share + (over - share) * (room[first] - under_use) / (over_use - under_use)
        if is_kept(share):
            price[first], price[second] = high, under[1]
            return share, price
    solved = linprog(-saved, A_ub=use, b_ub=room, bounds=(0, 1), method="highs")
    if solved.status != 0:
        raise RuntimeError(f"the solver could not price the limits: {solved.message}")
    return solved.x, -solved.ineqlin.marginals


def _greedy(saved: Floats, use: Floats, room: float) -> tuple[Floats, float]:
    """For one limit the linear programme is greedy: the share taken of every block, (B,), those
    that save most a unit of the limit first, and what one more unit of it would save.
    """
    free = np.where(saved > 0, np.inf, -np.inf)  # what uses nothing of it
    worth = np.divide(saved, use, out=free, where=use > 0)
    queue = np.argsort(-worth, kind="stable")
    queue = queue[worth[queue] > 0]
    left = room - np.concatenate([[0.0], use[queue].cumsum()[:-1]])
    cut = np.divide(left, use[queue], out=np.ones(queue.size), where=use[queue] > 0)
    share = np.zeros(saved.size)
    share[queue] = np.clip(cut, 0.0, 1.0)
    last = np.flatnonzero(share[queue] < 1.0)
    return share, float(worth[queue][last[0]]) if last.size else 0.0


def _falling(saved: Floats, units: Floats, owner: np.ndarray) -> Floats:
    """What blocks save, (B,), with what rounding made dearer than the block below it mended: then
    the best shares of blocks never take an upper one before a lower one.
    """
    each = saved / units
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    for start, end in zip(starts, np.append(starts[1:], owner.size), strict=True):
        np.minimum.accumulate(each[start:end], out=each[start:end])
    return each * units


def _solve(saved: Floats, rows: csr_array, most: Floats, *, fallback: Floats) -> Floats:
    # A limit on nodes, not on time: the same plan on a slower machine must be the same plan.
    options = {"mip_rel_gap": 0.0 if saved.size <= EXACT else GAP, "node_limit": 20_000}
    solved = milp(
        -saved,
        constraints=LinearConstraint(rows, ub=most),
        integrality=np.ones(saved.size),
        bounds=Bounds(0, 1),
        options=options,
    )
    if solved.x is None or float(saved @ np.round(solved.x)) < float(saved @ fallback):
        return fallback
    return np.round(solved.x)


def _ladder(quantity: Floats, smallest: Floats, multiple: Floats) -> Floats:
    """Cumulated quantities (N, B) from the smallest order to the needed one, in whole multiples,
    repeated at the top."""
    step = np.where(multiple > 0, multiple, np.maximum(quantity / (BLOCKS - 1), 1e-9))
    rungs = np.ceil(np.maximum(quantity - smallest, 0.0) / step - 1e-9)
    stride = np.maximum(np.ceil(rungs / (BLOCKS - 1)), 1.0)
    climbed = smallest[:, None] + np.arange(BLOCKS)[None, :] * (stride * step)[:, None]
    return np.minimum(climbed, quantity[:, None])


def _follows(owner: np.ndarray) -> csr_array | None:
    """A block can be bought only after the one below it on the same ladder: x_b - x_(b-1) <= 0."""
    upper = np.flatnonzero(owner[1:] == owner[:-1]) + 1
    if not upper.size:
        return None
    line = np.repeat(np.arange(upper.size), 2)
    columns = np.stack([upper, upper - 1], axis=1).ravel()
    return csr_array(
        (np.tile([1.0, -1.0], upper.size), (line, columns)), shape=(upper.size, owner.size)
    )
