"""replenish: champion, forecast and stock position become order lines with their reasons, and
requisitions in the ledger."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.expectations import GATES, require_open
from orchestration.facts import decisions
from orchestration.facts.display_names import named
from orchestration.facts.kept_agents import AGENT, kept_agent
from orchestration.facts.kept_forecasts import newest_forecast
from orchestration.facts.published_snapshots import PLANNED
from orchestration.facts.supplier_units_and_currencies import SOLD_BY, sales_of
from orchestration.home.sql import frame as frame_of
from orchestration.ledger import Ledger
from orchestration.planning import override_journal
from orchestration.planning.demand import open_demand
from orchestration.planning.plan import lines_of, movers, order_frames, plan_orders
from orchestration.planning.rehearsal import current_policy

READS = [["decisions", "champions"]] + [
    ["marts", table]
    for table in (
        "fct_stock_positions",
        "fct_open_orders",
        "fct_constraints",
        "dim_item_units",
        "dim_lanes",
        "dim_supplier_terms",
    )
]


@dg.multi_asset(
    name="replenish",
    specs=[
        dg.AssetSpec(
            ["decisions", table],
            group_name="replenish",
            deps=READS,
            description=decisions.TABLES[table],
            owners=OWNERS,
            kinds={"numpy"},
        )
        for table in PLANNED
    ],
)
def replenish(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Plan purchases and transfers together and keep the plan as decisions; nothing is ordered
    yet."""
    home = lakehouse.open_home()
    demand = open_demand(home)
    now = demand.timeline.now_at
    policy = current_policy(home, demand)
    forecast, model = newest_forecast(home, now)
    overrides_read = override_journal.size(home)  # one recorded from here on is of the next plan
    plan = plan_orders(home, demand, forecast, policy, overrides_read=overrides_read)
    made_with = {decisions.OVERRIDES_READ: str(overrides_read)}
    if policy == AGENT and (agent := kept_agent(home)) is not None:
        made_with[decisions.AGENT_KEPT] = agent.card["sha256"]
    frames = order_frames(plan, context.run_id, now, policy, model)
    with home.connect(read_only=True) as con:
        frames["order_lines"] = named(con, frames["order_lines"])
    for table, frame in frames.items():
        decisions.record(
            home.decisions,
            context.run_id,
            table,
            frame,
            as_of=now,
            made_with=made_with,
        )
        yield dg.MaterializeResult(
            asset_key=["decisions", table], metadata={"dagster/row_count": len(frame)}
        )
    with home.connect() as con:
        decisions.load(con, home.decisions)


@dg.multi_asset(
    name="replenish__propose",
    specs=[
        dg.AssetSpec(
            ["ledger", "requisitions"],
            group_name="replenish",
            deps=[["decisions", table] for table in PLANNED],
            description=(
                "The plan as requisitions under their intent keys: planning the same need again "
                "revises, never repeats."
            ),
            owners=OWNERS,
            kinds={"sqlite"},
        )
    ],
)
def propose(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Only what passed the gate reaches the ledger, also when this step is run by itself."""
    home = lakehouse.open_home()
    require_open(home.gate_results, GATES["orders_out"])
    frame = decisions.read(home.decisions / "order_lines" / f"{context.run_id}.parquet")
    parts = decisions.read(home.decisions / "explanations" / f"{context.run_id}.parquet")
    timeline = open_demand(home).timeline
    authors = movers(home, context.run_id, timeline)
    with home.connect(read_only=True) as con:
        sales = sales_of(frame_of(con, SOLD_BY))
    ledger = Ledger.of(home)
    try:
        period = timeline.review_period(timeline.origin)
        now = ledger.clock(timeline.now_at, timeline.newest_at)
        report = ledger.propose(
            lines_of(frame, parts),
            context.run_id,
            now,
            review_period=period,
            authors=authors,
            currency=lakehouse.open_world().currency,
            sales=sales,
        )
    finally:
        ledger.close()
    yield dg.MaterializeResult(
        asset_key=["ledger", "requisitions"],
        metadata={
            "new_orders": report.new_orders,
            "revised": report.revised,
            "unchanged": report.unchanged,
            "withdrawn": report.withdrawn,
            "order_lines": len(frame),
            "order_value": float(frame["value"].sum()),
            "purchase_value": float(frame.filter(kind="purchase")["value"].sum()),
            "currency": lakehouse.open_world().currency,
        },
    )
