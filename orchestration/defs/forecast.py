"""forecast: the distribution of demand over the decision window, per item and location."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from models.domain import QUANTILES
from models.forecasting.forecast import PATH_LEVELS
from models.forecasting.spread_of_totals import totals_frame
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts import decisions
from orchestration.facts.kept_forecasts import keep_forecast
from orchestration.planning.demand import open_demand
from orchestration.planning.model_registry import current_model
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
        dg.AssetSpec(
            ["decisions", "forecast_totals"],
            group_name="forecast",
            deps=[["features", "feat_demand"], ["features", "feat_demand_observed"]],
            description=(
                "The distribution of totals: of everything, of each location and of each "
                "category; quantiles of series do not add up to these."
            ),
            owners=OWNERS,
            kinds={"xgboost"},
        ),
        dg.AssetSpec(
            ["decisions", "surges"],
            group_name="forecast",
            deps=[["features", "feat_demand"], ["features", "feat_demand_observed"]],
            description=(
                "Unusual rises of the newest review window, each split into season, promotion, "
                "price, signals and what nothing explains; the parts add up."
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
    now = demand.timeline.now_at
    name, row = registered.name, registered.row(context.run_id, now)
    decisions.record(home.decisions, context.run_id, "models", row, as_of=now)
    inputs = next(demand.inputs_at([demand.timeline.origin]))
    whole = registered.model.predict(inputs.features, inputs.plans, PATH_LEVELS)
    keep_forecast(home, context.run_id, inputs.window(whole))
    seen = whole.select(QUANTILES)
    ahead = inputs.window(seen)
    totals = {
        columns: inputs.window(total)
        for columns, total in registered.model.predict_totals(seen, inputs.features).items()
    }
    stamp = {"run_id": context.run_id, "as_of": now, "model": name}
    made = {
        "forecasts": ahead.to_frame(),
        "forecast_totals": totals_frame(totals),
        "surges": demand.surges(registered.model),
    }
    for table, frame in made.items():
        stamped = frame.with_columns(pl.lit(value).alias(name) for name, value in stamp.items())
        decisions.record(home.decisions, context.run_id, table, stamped, as_of=now)
    yield dg.MaterializeResult(
        asset_key=["decisions", "forecasts"],
        metadata={
            "dagster/row_count": len(made["forecasts"]),
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
    for table in ("forecast_totals", "surges"):
        yield dg.MaterializeResult(
            asset_key=["decisions", table], metadata={"dagster/row_count": len(made[table])}
        )
