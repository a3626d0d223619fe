"""From whom to buy: where several suppliers sell an item, each purchase goes to the one, or is
shared by the two, that cost least."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

from models.domain import SERIES, OrderLine, also_from
from models.replenishment.agreed_shares import ALSO_FROM, is_shared
from models.replenishment.calendars import SupplyCalendar
from models.replenishment.constraints import Constraint, used
from models.replenishment.lead_times import expected
from models.replenishment.plan import Plan
from models.replenishment.sourcing_cost import Choice, Need, Offer, source
from models.replenishment.supply_options import Logistics

#: Two distributions are weighed outcome by outcome, so a few dozen draws of each say enough.
DRAWS = 40
#: Another supplier must save this share of what the line costs: nobody changes supplier for
#: pennies.
WORTH = 0.01
#: Units a day that even an item nobody is expected to buy is thought to sell, so that its need has
#: an end.
LEAST_DEMAND = 1e-3
PROMISED = {
    "kind": pl.String,
    "location_id": pl.String,
    "from_id": pl.String,
    "lead_time_days": pl.Float64,
}


@dataclass(frozen=True)
class Rival:
    """One supplier's offer for an item at a place, and the whole periods it promises to take."""

    offer: Offer
    periods: int


@dataclass(frozen=True)
class Sourced:
    """One purchase line and what takes its place: the same need at another supplier, or shared by
    two. saving: expected money."""

    usual: OrderLine
    lines: tuple[OrderLine, ...]
    saving: float


@dataclass(frozen=True)
class Buyer:
    """What a choice of supplier needs beside the plan.

    rows: the planned rows of dim_item_locations. logistics, price_breaks, period_starts: as in
    models.replenishment.plan. past: one line an order so far, as
    models.replenishment.lead_times.expected asks. limits: the planner's, which a change must keep.
    settled: suppliers with a least order value, which the plan has already met. calendar: the days
    on which suppliers send and places take in.
    """

    rows: pl.DataFrame
    logistics: Logistics
    price_breaks: pl.DataFrame
    past: pl.DataFrame
    period_starts: Sequence[date]
    unmet: Literal["lost", "backlog"]
    limits: Sequence[Constraint]
    settled: Collection[str]
    calendar: SupplyCalendar | None = None

    def choose(self, made: Plan) -> list[OrderLine]:
        """The plan's lines, each purchase of an item with several suppliers given to those who cost
        least in expectation.

        A line stays as it is where the planner set its quantity, where suppliers have agreed
        shares, where no change is worth its while, where a limit leaves no room for it, and where
        a supplier has a least order value.
        """
        shared: set[tuple[str, str]] = set()
        if is_shared(self.rows):
            has_several = self.rows.filter(pl.col(ALSO_FROM).list.len() > 0)
            shared = set(has_several.select(SERIES).iter_rows())
        facts = {
            (row["item_id"], row["location_id"]): row
            for row in made.explanations.iter_rows(named=True)
        }
        economics = {
            (row["item_id"], row["location_id"]): row for row in self.rows.iter_rows(named=True)
        }
        rivals = self.rivals()
        choices = []
        for line in made.lines:
            at = line.item_id, line.location_id
            if (
                line.kind == "purchase"
                and line.from_id in rivals.get(at, {})
                and at not in shared
                and not facts[at]["override_reason"]
            ):
                choices += list(
                    self._better(line, self._need(line, facts[at], economics[at]), rivals[at])
                )
        room = dict(made.limits.select("name", "at_most").iter_rows())
        limits = [
            replace(limit, at_most=room[limit.name]) for limit in self.limits if limit.name in room
        ]
        return self._within(made.lines, sorted(choices, key=lambda one: -one.saving), limits)

    def rivals(self) -> dict[tuple[str, str], dict[str, Rival]]:
        """What can be had from whom, by item and location, then supplier, where several sell it
        within the forecast's reach."""
        several = self.price_breaks.filter(pl.col("from_id").n_unique().over("item_id") > 1)
        prices: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for item, supplier, units, price in (
            several.sort("from_quantity")
            .select("item_id", "from_id", "from_quantity", "unit_cost")
            .iter_rows()
        ):
            prices.setdefault((item, supplier), []).append((units, price))
        bought = self.rows.filter(pl.col("kind") == "purchase").join(
            several, on="item_id", how="semi", maintain_order="left"
        )
        asked = [
            {
                **row,
                "from_id": terms["supplier_id"],
                "lead_time_days": terms["lead_time_days"],
                "terms": terms,
            }
            for row in bought.iter_rows(named=True)
            for terms in self.logistics.terms.get(row["item_id"], ())
            if (row["item_id"], terms["supplier_id"]) in prices
            and terms["supplier_id"] not in self.settled
        ]
        if not asked:
            return {}
        days = self.logistics.days_a_period
        promises = pl.DataFrame(
            [{name: row[name] for name in PROMISED} for row in asked], schema=PROMISED
        )
        rivals: dict[tuple[str, str], dict[str, Rival]] = {}
        for row, took in zip(
            asked, expected(promises, self.past, days, DRAWS, seed=0), strict=True
        ):
            supplier, terms, duty = (
                row["from_id"],
                row["terms"],
                self.logistics.duty(row["from_id"]),
            )
            (_, first), *rest = prices[row["item_id"], supplier]
            promised = self.logistics.periods(terms["lead_time_days"])
            wait = self._wait(row | terms, promised)
            arrives, often = np.unique(took, return_counts=True)
            offer = Offer(
                supplier,
                np.maximum(arrives + wait, 0).astype(np.float64) * days,
                often / often.sum(),
                ((0.0, first), *rest),
                float(self.logistics.leg(row, row["location_id"], 0.0, duty_share=duty).total),
                duty,
                moq=terms["moq"] or 0.0,
                multiple=terms["order_multiple"] or row["order_multiple"] or 1.0,
            )
            if promised + wait < len(self.period_starts):
                rivals.setdefault((row["item_id"], row["location_id"]), {})[supplier] = Rival(
                    offer, max(promised + wait, 1)
                )
        return rivals

    def _wait(self, row: Mapping[str, Any], promised: int) -> int:
        """The periods that an order decided now takes beyond its lead time, for the days of
        whoever sends and takes it."""
        if self.calendar is None:
            return 0
        way = self.calendar.way(row)
        takes = self.calendar.periods(way, self.period_starts[0])
        return 0 if way.is_free else takes - promised

    def _need(self, line: OrderLine, fact: Mapping[str, Any], economics: Mapping[str, Any]) -> Need:
        """When the shelf is empty without the line, how fast it sells, and what lateness and
        earliness cost."""
        days = self.logistics.days_a_period
        daily = max(fact["expected_demand"] / (fact["window"] * days), LEAST_DEMAND)
        late = economics["shortage_cost"] / (days if self.unmet == "backlog" else 1)
        first_day = max(fact["position"], 0.0) / daily
        return Need(
            line.quantity, first_day, daily, late, economics["holding_cost"] / days, self.unmet
        )

    def _better(
        self, line: OrderLine, need: Need, rivals: Mapping[str, Rival]
    ) -> Iterator[Sourced]:
        """The cheapest way to meet the line's need, where it beats the usual supplier by enough."""
        usual = source([rivals[line.from_id].offer], need)
        best = source([rival.offer for rival in rivals.values()], need)
        saving = usual.expected_cost - best.expected_cost
        if saving > WORTH * line.value and {name for name, _ in best.parts} != {line.from_id}:
            yield Sourced(line, tuple(self._lines(line, best, rivals, saving)), saving)

    def _lines(
        self, line: OrderLine, choice: Choice, rivals: Mapping[str, Rival], saving: float
    ) -> Iterator[OrderLine]:
        """The choice as order lines: the first keeps the need's own intent key, a second one names
        its supplier in it."""
        shares = " and ".join(f"{quantity:g} from {name}" for name, quantity in choice.parts)
        why = (
            f"{shares} instead of {line.quantity:g} from {line.from_id}: {saving:,.2f} less in "
            "expected cost of goods, waiting, holding."
        )
        for name, quantity in choice.parts:
            rival, is_first = rivals[name], name == choice.parts[0][0]
            parts = (
                {**line.parts, "supplier_choice": quantity - line.quantity}
                if is_first
                else {"supplier_choice": quantity}
            )
            yield replace(
                line,
                from_id=name,
                quantity=quantity,
                unit_cost=rival.offer.price(quantity),
                parts=parts,
                reason=f"{line.reason} {why}",
                due_on=self.period_starts[rival.periods],
                occasion="" if is_first else also_from(name),
            )

    def _within(
        self, lines: Sequence[OrderLine], found: Sequence[Sourced], limits: Sequence[Constraint]
    ) -> list[OrderLine]:
        """The lines with every change made that the limits leave room for, the most saving
        first."""
        spent = used(limits, lines, self.rows)
        taken: dict[str, tuple[OrderLine, ...]] = {}
        for one in found:
            then = spent - used(limits, [one.usual], self.rows) + used(limits, one.lines, self.rows)
            most = np.maximum([limit.at_most for limit in limits], spent)
            if (then <= most * (1 + 1e-9)).all():
                taken[one.usual.intent_key], spent = one.lines, then
        return [new for line in lines for new in taken.get(line.intent_key, (line,))]
