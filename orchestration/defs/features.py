"""features: Feast serves what may be known and as of when, offline for training and online for
whoever asks now."""

from collections.abc import Iterator

import dagster as dg

from feature_repo.online import materialize_online
from feature_repo.store import open_store
from orchestration import intake
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts.timeline import Timeline

FEATURE_TABLES = (
    "feat_demand",
    "feat_demand_observed",
    "feat_items",
    "feat_lanes",
    "feat_location_signals",
    "feat_plans",
    "feat_prices",
    "feat_signals",
    "feat_stock",
    "feat_stock_positions",
    "feat_supplier_lead_times",
)


@dg.multi_asset(
    name="features__serve",
    specs=[
        dg.AssetSpec(
            ["features", "online_store"],
            group_name="features",
            deps=[["features", table] for table in FEATURE_TABLES],
            description=(
                "The newest known value of every feature of every entity, for a request that "
                "cannot wait."
            ),
            owners=OWNERS,
            kinds={"feast"},
        )
    ],
)
def serve(lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """Apply the definitions and bring the online store up to Now, late and corrected rows
    included."""
    home = lakehouse.open_home()
    with home.connect(read_only=True) as con:
        now = Timeline.read(con).now_at
    world = lakehouse.open_world()
    store = open_store(home.warehouse, home.features)
    rows = materialize_online(store, now, is_settled=lambda: intake.is_landed(world, home.inbox))
    yield dg.MaterializeResult(
        asset_key=["features", "online_store"], metadata={"dagster/row_count": rows}
    )
