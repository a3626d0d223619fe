"""What decisions were worth, once what they were made for has come: their cost beside the best in
hindsight, and beside what the system alone would have ordered.

A decision of a day had stock and orders under way (the position P) and ordered q, for the demand D
until the next order could help: L periods of lead time and R to the next review. It cost
h·R·max(P + q - D, 0) of holding and s·max(D - P - q, 0) of shortage, and at least what
q* = max(D - P, 0) would have: the difference is its regret (the newsvendor's cost; Silver, Pyke
and Thomas, 2017). An override is worth what the system's own q would have cost more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestration.app.home_context import timeline_of
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, published, rows
from orchestration.planning import override_journal
from orchestration.planning.override_journal import Entry

#: How an overridden row names who overrode it, see override_journal.
NAMED = re.compile(r"\(([^()]*), (override-\d+)\)")


@dataclass(frozen=True)
class Regret:
    """Decisions of a month that can be settled: how many, what they cost, and what the best would
    have. Money."""

    month: str
    decisions: int
    cost: float
    best: float
    holding: float
    shortage: float

    @property
    def regret(self) -> float:
        """What hindsight would have saved."""
        return self.cost - self.best


@dataclass(frozen=True)
class OverrideWorth:
    """One override and what became of the lines it moved: how many, how many of them are settled,
    the money it moved, and what it saved beside the system's own quantities (below zero: cost)."""

    override_id: str
    author: str
    reason: str
    lines: int = 0
    settled: int = 0
    moved: float = 0.0
    worth: float = 0.0


@dataclass(frozen=True)
class Worth:
    """Decisions by month and overrides one by one, as far as time has settled them."""

    months: list[Regret]
    overrides: list[OverrideWorth]

    @property
    def people(self) -> list[tuple[str, int, float]]:
        """By person: settled lines, and what they saved; the most first."""
        found: dict[str, tuple[int, float]] = {}
        for one in self.overrides:
            lines, money = found.get(one.author, (0, 0.0))
            found[one.author] = (lines + one.settled, money + one.worth)
        by_worth = sorted(found.items(), key=lambda pair: -pair[1][1])
        return [(name, lines, money) for name, (lines, money) in by_worth]


def decision_worth(desk: Desk) -> Worth:
    """Settle every decision whose demand has come. Raises PublishError before the first
    publication."""
    given = {"review": timeline_of(desk.home).review}
    with published(desk.home) as con:
        months = rows(con, _MONTHS, given)
        moved = rows(con, _OVERRIDES, given)
    return Worth(
        [Regret(**row) for row in months], _by_override(moved, override_journal.entries(desk.home))
    )


def _by_override(moved: Sequence[Row], entries: Sequence[Entry]) -> list[OverrideWorth]:
    """The rows that overrides moved, added up by override; one that several moved is shared."""
    found = {
        entry.override_id: OverrideWorth(entry.override_id, entry.author, entry.override.reason)
        for entry in entries
    }
    for row in moved:
        names = [name for _, name in NAMED.findall(row["reason"]) if name in found]
        for name in names:
            one, share = found[name], 1 / len(names)
            found[name] = replace(
                one,
                lines=one.lines + 1,
                settled=one.settled + (row["worth"] is not None),
                moved=one.moved + share * float(row["moved"]),
                worth=one.worth + share * float(row["worth"] or 0.0),
            )
    return sorted((one for one in found.values() if one.lines), key=lambda one: -abs(one.moved))


#: Of every decision the demand of its place, and of the places it feeds, over the periods it was
#: made for; only where all of them have ended.
_SETTLED = """
recursive served as (
    select item_id, location_id, location_id as sold_at from marts.dim_item_locations
    union
    select served.item_id, served.location_id, fed.location_id
    from served join marts.dim_item_locations as fed
      on fed.item_id = served.item_id and fed.from_id = served.sold_at and fed.kind = 'transfer'
),
periods as (
    select period_start, min(period_index) as period_index from marts.dim_calendar group by all
),
ended as (
    select max(period_index) as last from periods
    where period_start in (select period_start from marts.fct_demand)
),
decided as (
    select target.run_id, target.as_of, target.item_id, target.location_id, target.position,
        target.quantity, planned.lead_time_periods + $review as periods,
        planned.holding_cost, planned.shortage_cost,
        (select min(period_index) from periods where period_start >= target.as_of::date) as first
    from decisions_history.targets as target
    join marts.dim_item_locations as planned using (item_id, location_id)
),
met as (
    select decided.*, coalesce(sum(demand.quantity), 0) as demand
    from decided
    join served using (item_id, location_id)
    join periods
      on periods.period_index >= decided.first
        and periods.period_index < decided.first + decided.periods
    left join marts.fct_demand as demand
      on demand.item_id = served.item_id and demand.location_id = served.sold_at
        and demand.period_start = periods.period_start and demand.is_current
    where decided.first + decided.periods - 1 <= (select last from ended)
    group by all
)
"""
_COST = """
(holding_cost * $review * greatest(position + {q} - demand, 0)
    + shortage_cost * greatest(demand - position - {q}, 0))::double
"""
#: Plans that were made of one moment are one decision.
_MONTHS = f"""
with {_SETTLED},
once as (
    select * from met
    qualify row_number() over (partition by as_of, item_id, location_id order by run_id) = 1
)
select strftime(as_of, '%Y-%m') as month, count(*) as decisions,
    sum({_COST.format(q="quantity")}) as cost,
    sum({_COST.format(q="greatest(demand - position, 0)")}) as best,
    sum(holding_cost * $review * greatest(position + quantity - demand, 0))::double as holding,
    sum(shortage_cost * greatest(demand - position - quantity, 0))::double as shortage
from once group by 1 order by 1 desc limit 24
"""
_OVERRIDES = f"""
with {_SETTLED}
select said.reason, ((said.quantity - said.system_quantity) * said.unit_cost)::double as moved,
    {_COST.format(q="said.system_quantity")} - {_COST.format(q="said.quantity")} as worth
from decisions_history.overrides as said
left join met using (run_id, item_id, location_id)
"""
