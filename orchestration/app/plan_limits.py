"""Limits of the plan as people set them at the desk (budgets, capacities, service levels, a
supplier's least order): read out of a workbook, shown beside what holds now, and priced before they
count.

Once two people have set them they land with the ledger's other rows and are facts like the
company's own workbook, the newest word counting; the next run plans by them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from models.domain import OrderLine
from models.procurement.approval import PLAN_LIMITS
from models.replenishment.constraints import Constraint
from orchestration.app.home_context import timeline_of, world_of
from orchestration.app.people_overrides import Preview, changes, spend
from orchestration.app.procurement import Desk
from orchestration.app.published_plan import BUDGETS_LEFT, Published
from orchestration.app.snapshot_queries import names, published, rows
from orchestration.facts import published_snapshots
from orchestration.home.sql import literal, quote
from orchestration.planning.plan import make_plan, with_budgets

#: More rows than this are no planner's workbook.
MOST_ROWS = 5_000


@dataclass(frozen=True)
class PlanLimit:
    """One limit of the plan: what it is called, what it holds for, the value that holds now, and
    one that two people set since and the next run learns of (None: none)."""

    name: str
    scope: str
    value: float | None
    coming: float | None = None

    @property
    def key(self) -> str:
        """How limits name it."""
        return f"{self.name} {self.scope}"


def plan_limits(desk: Desk) -> list[PlanLimit]:
    """The limits of the plan that are known, by name and scope."""
    with published(desk.home) as con:
        known = {f"{row['name']} {row['scope']}": row["value"] for row in rows(con, _KNOWN)}
    said = desk.ledger.limits().plan
    found = []
    for key in sorted(known.keys() | said.keys()):
        name, _, scope = key.partition(" ")
        now = None if (value := known.get(key)) is None else float(value)
        coming = said.get(key)
        found.append(PlanLimit(name, scope, now, None if coming == now else coming))
    return found


def from_workbook(content: bytes) -> dict[str, float]:
    """Limits of the plan out of a workbook as planners keep it: any rows of name, scope and value,
    whatever stands around them. Raises ValueError where it cannot be read."""
    from openpyxl import load_workbook  # noqa: PLC0415 - only for an upload

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        cells = [
            row[:3]
            for sheet in book.worksheets
            for row in sheet.iter_rows(max_row=MOST_ROWS, max_col=3, values_only=True)
        ]
    except Exception as error:
        raise ValueError(f"the workbook cannot be read: {error}") from error
    found = {}
    for row in cells:
        name = str(row[0] or "").strip().lower()
        if len(row) == 3 and name in PLAN_LIMITS:
            found[f"{name} {str(row[1] or 'all').strip()}"] = row[2]
    return found


def preview(desk: Desk, wanted: Mapping[str, float]) -> Preview:
    """Plan what is published once more as it is, and with other limits of the plan; nothing is
    recorded. touches: how many limits are others.

    Raises ValueError where nothing is published to plan from.
    """
    home, timeline, world = desk.home, timeline_of(desk.home), world_of(desk.home)
    with published(home) as con:
        now = Published.read(con, home, world, timeline)
        left = {name: float(size) for name, size in con.execute(BUDGETS_LEFT).fetchall()}
        called = names(con)
    full = {one.name: one.at_most for one in now.inputs.limits}
    with _as_if(desk, wanted) as con:
        then = Published.read(con, home, world, timeline)
    still = {
        one.name: max(one.at_most - (full[one.name] - left[one.name]), 0.0)
        for one in then.inputs.limits
        if one.name in full and one.name in left
    }
    before, after = _planned(now, left), _planned(then, still)
    return Preview(len(wanted), changes(before, after, called), spend(before), spend(after))


def _planned(read: Published, budgets: Mapping[str, float]) -> list[OrderLine]:
    """The lines of a plan with what is left of its budgets."""
    limits: list[Constraint] = with_budgets(read.inputs.limits, budgets)
    inputs, timeline = replace(read.inputs, limits=limits), read.inputs.timeline
    starts = [timeline.shift(timeline.origin, k) for k in range(read.paths.shape[2])]
    return make_plan(inputs, read.paths, starts, read.policy, list(read.overrides)).lines


@contextmanager
def _as_if(desk: Desk, wanted: Mapping[str, float]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published facts as if some limits of the plan were others: every table as it is, but for
    theirs."""
    snapshot = published_snapshots.current(desk.home.published)
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(snapshot.path))} as snapshot (read_only)")
        tables = con.execute(_TABLES).fetchall()
        for schema in sorted({schema for schema, _ in tables}):
            con.execute(f"create schema if not exists {quote(schema)}")
        for schema, table in tables:
            if (schema, table) != ("marts", "fct_constraints"):
                name = f"{quote(schema)}.{quote(table)}"
                con.execute(f"create view {name} as from snapshot.{name}")
        con.execute(_SAID)
        for key, value in wanted.items():
            name, _, scope = key.partition(" ")
            con.execute(_UNSAY, [name, scope])
            con.execute(_SAY, [name, scope, value])
        yield con


_KNOWN = f"""
select name, scope, value from marts.fct_constraints
where is_current and name in ({", ".join(map(literal, PLAN_LIMITS))})
"""
_TABLES = """
select table_schema, table_name from information_schema.tables where table_catalog = 'snapshot'
"""
_SAID = """
create table marts.fct_constraints as from snapshot.marts.fct_constraints where is_current
"""
_UNSAY = "delete from marts.fct_constraints where name = ? and scope = ?"
_SAY = """
insert into marts.fct_constraints by name
select ? as name, ? as scope, ?::decimal(38, 12) as value, true as is_current
"""
