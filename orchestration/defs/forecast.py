"""forecast: the distribution of demand over the decision window, per item and location."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from models.domain import QUANTILES
from orchestration import charts, decisions
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.planning import current_model, open_demand


@dg.multi_asset(
    name="forecast",
    specs=[
        dg.AssetSpec(
            ["decisions", "forecasts"],
            group_name="forecast",
            deps=[["features", "online_store"], ["features", "feat_demand"], ["features", "feat_demand_observed"]],
            description="Nine quantiles and the mean of demand, per item, location and period of the decision window.",
            owners=OWNERS,
            kinds={"xgboost", "feast"},
        )
    ],
)
def forecast(context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """Train (when a review interval has passed) on what Feast says was known, forecast from Now, keep it as a decision."""
    home = lakehouse.open_home()
    demand = open_demand(home)
    model, name = current_model(home, demand)
    ahead = demand.predict(model, demand.timeline.origin).select(QUANTILES)
    stamp = {"run_id": context.run_id, "as_of": demand.timeline.now_at, "model": name}
    frame = ahead.to_frame().with_columns(pl.lit(value).alias(column) for column, value in stamp.items())
    decisions.record(home.decisions, context.run_id, "forecasts", frame)
    yield dg.MaterializeResult(
        asset_key=["decisions", "forecasts"],
        metadata={
            "dagster/row_count": len(frame),
            "model": name,
            "series": len(demand.series),
            "forecast": charts.metadata(charts.forecast_fan(demand.labels(demand.timeline.origin), ahead)),
        },
    )
