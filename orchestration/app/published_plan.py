"""What the last run planned from, read from the published snapshot: whoever plans between two runs
(an event, a preview, a scenario) starts from it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import duckdb
import polars as pl

from models.domain import Floats
from models.procurement.documents import Document
from models.replenishment.constraints import Constraint, used
from models.replenishment.overrides import Override
from models.replenishment.policies import RegisteredPolicy
from models.replenishment.supplier_minimums import SupplierMinimum
from orchestration.facts.champion_and_forecast import champion, published_forecast
from orchestration.facts.planning_inputs import PlanningInputs, read_planning_inputs
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.landing import World
from orchestration.landing.contract.world import Economics
from orchestration.planning import override_journal
from orchestration.planning.plan import with_budgets
from orchestration.planning.replay import paths_of

BUDGETS_LEFT = """
    select name, at_most from decisions.limits
    where resource = 'value' and run_id = (select run_id from published.snapshot)
"""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the last run planned from, and its forecast drawn as the same sampled futures (N, S,
    H)."""

    inputs: PlanningInputs
    paths: Floats
    policy: RegisteredPolicy
    overrides: Sequence[Override]

    @classmethod
    def read(
        cls, con: duckdb.DuckDBPyConnection, home: Home, world: World, timeline: Timeline
    ) -> Published:
        """Read the published facts of every planned item and location, as the line reads its
        warehouse."""
        forecast = published_forecast(con, home)
        if forecast.period_starts[0] != timeline.origin:
            raise ValueError(
                f"the published forecast begins on {forecast.period_starts[0]}, but the next "
                "period "
                f"is that of {timeline.origin}: run the line first"
            )
        said = world.economics or Economics()
        inputs = read_planning_inputs(
            con, timeline, forecast, unmet=said.unmet, waiting_share=said.waiting_share
        )
        return cls(
            inputs=inputs,
            paths=paths_of(forecast, inputs.rows, seed=0),
            policy=champion(con, home),
            overrides=override_journal.in_force(home, timeline.now_at, timeline.origin),
        )

    def within_review(self, con: duckdb.DuckDBPyConnection) -> Published:
        """The same with the budgets that its run had left of its review."""
        limits = with_budgets(self.inputs.limits, dict(con.execute(BUDGETS_LEFT).fetchall()))
        return replace(self, inputs=replace(self.inputs, limits=limits))

    def of_items(self, items: Collection[str], lines: Sequence[Document]) -> Published | None:
        """What is published of some items, with the room that the others' stock and requisitions
        leave; None where none is planned.

        lines: the ledger's.
        """
        inside = self.inputs.rows["item_id"].is_in(list(items))
        if not inside.any():
            return None
        others = [
            line for line in lines if line.item_id not in items and line.stage == "requisition"
        ]
        inputs = self.inputs.of_items(items)
        minimums = [_still_to_buy(least, others, self.inputs.rows) for least in inputs.minimums]
        limits = _left(inputs.limits, others, self.inputs.rows)
        return replace(
            self,
            inputs=replace(inputs, limits=limits, minimums=minimums),
            paths=self.paths[inside.arg_true().to_numpy()],
        )


def _still_to_buy(
    least: SupplierMinimum, others: Sequence[Document], nodes: pl.DataFrame
) -> SupplierMinimum:
    """What the requisitions of the other items leave of a supplier's least order."""
    use = least.floor(nodes).use
    each = {} if use is None else dict(zip(nodes["item_id"], use.tolist(), strict=True))

    def counted(line: Document) -> float:
        """What a unit of the line counts."""
        return line.unit_cost if use is None else each.get(line.item_id, 0.0)

    bought = sum(
        line.quantity * counted(line)
        for line in others
        if line.kind == "purchase" and line.from_id == least.from_id
    )
    size = least.value if least.truck is None else least.truck
    return replace(least, value=max(least.value - bought, 0.0), truck=size)


def _left(
    limits: Sequence[Constraint], others: Sequence[Document], nodes: pl.DataFrame
) -> list[Constraint]:
    """What the requisitions of the other items leave of the limits."""
    spent = used(limits, others, nodes).tolist()
    return [
        replace(limit, at_most=max(0.0, limit.at_most - taken))
        for limit, taken in zip(limits, spent, strict=True)
    ]
