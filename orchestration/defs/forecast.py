"""forecast: the distribution of demand over the decision window, per item and location."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from models.domain import QUANTILES
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts import decisions
from orchestration.facts.kept_forecasts import keep_forecast
from orchestration.planning.demand import open_demand
from orchestration.planning.registry import current_model
from orchestration.reports import charts


@dg.multi_asset(
    name="forecast",
    specs=[
        dg.AssetSpec(
            ["decisions", "forecasts"],
            group_name="forecast",
            deps=[
                ["features", "online_store"],
                ["features", "feat_demand"],
                ["features", "feat_demand_observed"],
            ],
            description=(
                "Nine quantiles and the mean of demand, per item, location and period of the "
                "decision window."
            ),
            owners=OWNERS,
            kinds={"xgboost", "feast"},
        ),
        dg.AssetSpec(
            ["decisions", "models"],
            group_name="forecast",
            deps=[["features", "feat_demand"], ["features", "feat_demand_observed"]],
            description=(
                "The model registry: which model each run forecast with, why it was trained, and "
                "how it has served since."
            ),
            owners=OWNERS,
            kinds={"xgboost"},
        ),
    ],
)
def forecast(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Train (where the model in use is old or has drifted) on what Feast says was known, forecast
    from Now, keep it as a decision."""
    home = lakehouse.open_home()
    demand = open_demand(home)
    registered = current_model(home, demand)
    name, row = registered.name, registered.row(context.run_id, demand.timeline.now_at)
    decisions.record(home.decisions, context.run_id, "models", row)
    whole = demand.predict(registered.model, demand.timeline.origin)
    keep_forecast(home, context.run_id, whole)
    ahead = whole.select(QUANTILES)
    stamp = {"run_id": context.run_id, "as_of": demand.timeline.now_at, "model": name}
    frame = ahead.to_frame().with_columns(
        pl.lit(value).alias(column) for column, value in stamp.items()
    )
    decisions.record(home.decisions, context.run_id, "forecasts", frame)
    yield dg.MaterializeResult(
        asset_key=["decisions", "forecasts"],
        metadata={
            "dagster/row_count": len(frame),
            "model": name,
            "series": len(demand.series),
            "forecast": charts.metadata(
                charts.forecast_fan(demand.labels(demand.timeline.origin), ahead)
            ),
        },
    )
    yield dg.MaterializeResult(
        asset_key=["decisions", "models"],
        metadata={"registry": dg.MetadataValue.md(charts.markdown(row, digits=3))},
    )
