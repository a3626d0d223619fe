"""One decision, from what a policy wants to what is ordered: the steps that plan, twin and event
replan all take.

Each step turns quantities into quantities, so the difference it makes *is* its part of the
explanation:

    need → customer_orders → rounding → minimum_order → price_break → shelf_life → override
         → distribution_centre → supplier_minimum → constraints

A planner's quantity replaces what the system wants (override); the stock of the shipping place,
suppliers' minimums and limits hold for both (precedence constraint > override > model).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Policy, Situation
from models.replenishment.agreed_shares import Lanes, lanes_of, lots_of
from models.replenishment.constraints import Constraint, Fitted, Limit, fit
from models.replenishment.customer_orders import set_aside
from models.replenishment.echelon import echelon_view
from models.replenishment.notes import Note
from models.replenishment.order_rounding import (
    allocate,
    feasible,
    price_at,
    smallest_order,
    up_to_price_break,
)
from models.replenishment.shelf_life import sellable
from models.replenishment.situations import price_steps, sources_of
from models.replenishment.stock_projection import mean_demand, remembering, rows_of, within_reach
from models.replenishment.supplier_minimums import Floor, SupplierMinimum, give_up, keep_minimums

__all__ = ["STEPS", "Decision", "Terms", "decide", "take_steps"]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What orders have to obey beside each row's own minimum and multiple; N rows, as in the
    situation, with a lane each, or E lanes where some rows have several sources.

    sources: (E,) the row that ships, -1 a supplier. starts, prices: (E, B) quantity from which a
    unit price holds, NaN where there is no further step. life: (E,) whole periods goods keep,
    infinite where they keep. floors: suppliers' least order values. limits: scarce resources.
    fixed: (N,) quantities the planner has set, NaN where the policy decides. kept_back: (N,) units
    that a place that sells and supplies others keeps for its own customers until the next review.
    lanes: which lane supplies which row, None where each has one; then the situation says what
    can be bought, else moq and order_multiple, (E,) units, do.
    """

    sources: Integers
    starts: Floats
    prices: Floats
    life: Floats
    floors: Sequence[Floor] = ()
    limits: Sequence[Limit] = ()
    fixed: Floats = field(default_factory=lambda: np.zeros(0))
    kept_back: Floats = field(default_factory=lambda: np.zeros(1))
    lanes: Lanes | None = None
    moq: Floats = field(default_factory=lambda: np.zeros(0))
    order_multiple: Floats = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(
        cls,
        rows: pl.DataFrame,
        *,
        price_breaks: pl.DataFrame | None = None,
        minimums: Sequence[SupplierMinimum] = (),
        constraints: Sequence[Constraint] = (),
        fixed: Floats | None = None,
    ) -> Terms:
        """The terms of rows with the columns of dim_item_locations and, where known,
        shelf_life_periods, kept_back and also_from.

        Raises ValueError for a constraint that counts what the rows do not know.
        """
        nodes, lanes, rows = rows, Lanes.of(rows), lanes_of(rows)
        starts, prices = price_steps(rows, price_breaks)
        life = np.full(rows.height, np.inf)
        if "shelf_life_periods" in rows.columns:
            life = rows["shelf_life_periods"].cast(pl.Float64).fill_null(np.inf).to_numpy()
        # A limit counts the dearest step's price, so that a line cut below its step still fits.
        dearest = pl.max_horizontal("unit_cost", pl.Series(np.nanmax(prices, axis=1, initial=0)))
        priced = rows.with_columns(unit_cost=dearest)
        return cls(
            sources=sources_of(nodes) if lanes is None else sources_of(nodes)[lanes.to],
            starts=starts,
            prices=prices,
            life=life,
            floors=[least.floor(rows) for least in minimums],
            limits=[constraint.limit(priced) for constraint in constraints],
            fixed=np.full(nodes.height, np.nan) if fixed is None else fixed,
            kept_back=nodes["kept_back"].to_numpy()
            if "kept_back" in nodes.columns
            else np.zeros(1),
            lanes=lanes,
            **({} if lanes is None else lots_of(rows)),
        )

    @classmethod
    def plain(cls, sources: Integers, unit_cost: Floats) -> Terms:
        """Terms of a network without price breaks, shelf lives, supplier minimums and limits."""
        count = sources.size
        return cls(
            sources=sources,
            starts=np.zeros((count, 1)),
            prices=unit_cost[:, None].astype(np.float64),
            life=np.full(count, np.inf),
        )

    def price(self, quantity: Floats) -> Floats:
        """The unit price paid on each lane for an order of this size, (E,)."""
        return price_at(quantity, self.starts, self.prices)

    @property
    def is_free(self) -> np.ndarray:
        """True where the policy and not the planner decides, (N,)."""
        nodes = self.sources.size if self.lanes is None else self.lanes.nodes
        return np.isnan(self.fixed) if self.fixed.size else np.ones(nodes, dtype=bool)

    @property
    def needs_paths(self) -> bool:
        """Whether keeping these terms takes sampled demand, whatever the policy itself works
        from."""
        has_steps = self.prices.shape[1] > 1 or bool(np.isfinite(self.life).any())
        return has_steps or bool(self.floors) or bool(self.limits)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided and how it came about.

    quantities: by step, in order, the units after it, (N,), and from BY_LANE on (E,). view: the
    situation as the policy saw it, a centre as its echelon.
    fitted: what the limits cost. notes: rows that wait or were given up, and why. lanes: as in
    `Terms`.
    """

    quantities: dict[str, Floats]
    view: Situation
    limits: Sequence[Limit]
    fitted: Fitted
    notes: Sequence[Note] = ()
    lanes: Lanes | None = None

    @property
    def quantity(self) -> Floats:
        """Units ordered, (N,)."""
        return self.after(LAST)

    @property
    def ordered(self) -> Floats:
        """Units ordered on each lane, (E,)."""
        return self.by_lane(LAST)

    def by_lane(self, step: str) -> Floats:
        """Units on each lane after a step from BY_LANE on, (E,)."""
        return self.quantities[step]

    def after(self, step: str) -> Floats:
        """Units after a step, (N,)."""
        units = self.quantities[step]
        if self.lanes is None or step not in STEPS_BY_LANE:
            return units
        return self.lanes.by_node(units)

    def change(self, step: str) -> Floats:
        """Units a step added or took, (N,); not defined for the first, which is the need itself."""
        names = list(self.quantities)
        return self.after(step) - self.after(names[names.index(step) - 1])


@dataclass(kw_only=True)
class _Case:
    """One decision in the making. on_hand: what each row itself has, (N,); view: centres as
    echelons, from BY_LANE on each lane's part of it. wanted: (N,) units, before they are split."""

    on_hand: Floats
    view: Situation
    policy: Policy
    terms: Terms
    limits: Sequence[Limit] = ()
    fitted: Fitted = field(default_factory=lambda: Fitted(np.zeros(0), 0.0, 0.0, {}))
    notes: list[Note] = field(default_factory=list)
    wanted: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def is_free(self) -> np.ndarray:
        """True where the policy and not the planner decides, (E,)."""
        lanes, is_free = self.terms.lanes, self.terms.is_free
        return is_free if lanes is None else is_free[lanes.to]

    def bought(self, wanted: Floats, moq: Floats) -> Floats:
        """What can be bought, (E,), to meet what each row wants, (N,): by share where it has
        several sources. moq: (E,) units."""
        lanes, multiple = self.terms.lanes, self.view.order_multiple
        if lanes is None:
            return feasible(wanted, moq, multiple)
        return lanes.split(wanted, lanes.lots(moq, multiple))

    def by_lane(self, wanted: Floats) -> _Case:
        """The same as each lane sees its part of it."""
        terms, lanes = self.terms, self.terms.lanes
        if lanes is None:
            return replace(self, wanted=wanted)
        part = lanes.part_of(
            self.view, terms.moq, terms.order_multiple, with_paths=terms.needs_paths
        )
        return replace(self, view=remembering(part), wanted=wanted, notes=[])


def _need(case: _Case, _: Floats) -> Floats:
    case.notes += getattr(case.policy, "notes", _nothing)(case.view)
    return case.policy.order(case.view)


def _nothing(_: Situation) -> Sequence[Note]:
    return ()


def _customer_orders(case: _Case, quantity: Floats) -> Floats:
    if not case.view.customer_orders.any():
        return quantity
    left, lacking = set_aside(case.view)
    return case.policy.order(left) + lacking


def _rounding(case: _Case, _: Floats) -> Floats:
    return case.bought(case.wanted, np.zeros_like(case.view.order_multiple))


def _minimum_order(case: _Case, _: Floats) -> Floats:
    return case.bought(case.wanted, case.view.moq)


def _price_break(case: _Case, quantity: Floats) -> Floats:
    view, terms = case.view, case.terms
    if terms.prices.shape[1] == 1:
        return quantity
    return up_to_price_break(
        quantity,
        terms.starts,
        terms.prices,
        moq=view.moq,
        multiple=view.order_multiple,
        demand=mean_demand(view),
        holding=view.economics.holding,
        review=view.interval,
    )


def _shelf_life(case: _Case, quantity: Floats) -> Floats:
    spoils = np.flatnonzero(np.isfinite(case.terms.life))
    if not spoils.size:
        return quantity
    kept = quantity.astype(np.float64)
    kept[spoils] = sellable(rows_of(case.view, spoils), quantity[spoils], case.terms.life[spoils])
    return kept


def _override(case: _Case, quantity: Floats) -> Floats:
    if case.is_free.all():
        return quantity
    fixed = case.bought(np.nan_to_num(case.terms.fixed), case.view.moq)
    return np.where(case.is_free, quantity, fixed)


def _distribution_centre(case: _Case, quantity: Floats) -> Floats:
    to_share = np.maximum(case.on_hand - case.terms.kept_back, 0.0)
    return allocate(quantity, case.terms.sources, to_share, case.view.order_multiple)


def _supplier_minimum(case: _Case, quantity: Floats) -> Floats:
    terms = case.terms
    kept, waiting = keep_minimums(case.view, quantity, terms.price, terms.floors, case.is_free)
    case.notes += waiting
    return kept


def _constraints(case: _Case, quantity: Floats) -> Floats:
    smallest = smallest_order(case.view.moq, case.view.order_multiple)
    case.fitted = fit(case.view, quantity, smallest, case.view.order_multiple, case.limits)
    left, given_up = give_up(
        quantity, case.fitted.quantity, case.terms.price, case.terms.floors, case.limits
    )
    case.notes += given_up
    return left


#: The steps by the name their part of the explanation has, in the order they are taken.
STEPS: dict[str, Callable[[_Case, Floats], Floats]] = {
    "need": _need,
    "customer_orders": _customer_orders,
    "rounding": _rounding,
    "minimum_order": _minimum_order,
    "price_break": _price_break,
    "shelf_life": _shelf_life,
    "override": _override,
    "distribution_centre": _distribution_centre,
    "supplier_minimum": _supplier_minimum,
    "constraints": _constraints,
}
LAST = next(reversed(STEPS))
#: The first step that is taken lane by lane, and all from it on.
BY_LANE = "rounding"
STEPS_BY_LANE = tuple(STEPS)[list(STEPS).index(BY_LANE) :]


def decide(situation: Situation, policy: Policy, terms: Terms) -> Decision:
    """Take every step of a decision for all rows at once.

    situation: the rows' own state (units on hand, on the way); a centre's row is lifted to its
    echelon here. Raises ValueError where the terms need sampled demand and the situation has none,
    and for a limit below zero.
    """
    sources = terms.sources[: situation.on_hand.size]  # those of the rows' usual lanes
    view = within_reach(echelon_view(situation, sources))
    return take_steps(view, policy, terms, on_hand=situation.on_hand, pipeline=situation.pipeline)


def take_steps(
    view: Situation, policy: Policy, terms: Terms, *, on_hand: Floats, pipeline: Floats
) -> Decision:
    """As `decide`, where the view that lifts centres to their echelons is there already.

    on_hand: (N,) and pipeline: (N, K) units of the rows themselves.
    """
    if terms.needs_paths and view.paths is None:
        raise ValueError(
            "price breaks, shelf lives, minimums and limits need sampled demand: pass a forecast"
        )
    lanes, held = terms.lanes, (on_hand, pipeline)
    stock, coming = held if lanes is None else map(lanes.on_first, held)
    limits = [limit.less(stock, coming) for limit in terms.limits]
    seen = view if view.memo is not None else remembering(view)
    case = _Case(on_hand=on_hand, view=seen, policy=policy, terms=terms, limits=limits)
    quantity, quantities = np.zeros_like(on_hand), {}
    notes = case.notes
    for name, step in STEPS.items():
        if name == BY_LANE:
            case = case.by_lane(quantity)
        quantity = quantities[name] = step(case, quantity)
    if lanes is not None:
        notes = notes + [replace(one, rows=np.unique(lanes.to[one.rows])) for one in case.notes]
    return Decision(
        quantities=quantities,
        view=view,
        limits=limits,
        fitted=replace(case.fitted, quantity=quantity),
        notes=notes,
        lanes=lanes,
    )
