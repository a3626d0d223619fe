"""rehearse: how far the twin can be trusted, and the candidate policies that run the last months in
it; the one that provably costs least decides."""

from collections.abc import Iterator

import dagster as dg
import polars as pl

from orchestration.app.scenario_record import rehearse_stress
from orchestration.app.scenario_tables import LANES, PLACES, SCENARIOS, lanes, places
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts import decisions
from orchestration.planning.demand import open_demand
from orchestration.planning.rehearsal import (
    champion_is_current,
    champions_frame,
    scores_frame,
    settings_digest,
    unrehearsed_frame,
)
from orchestration.planning.rehearsal import rehearse as rehearse_candidates
from orchestration.planning.twin_calibration import record_calibration
from orchestration.reports import charts


@dg.multi_asset(
    name="rehearse",
    specs=[
        dg.AssetSpec(
            ["decisions", "champions"],
            group_name="rehearse",
            deps=[
                ["decisions", "forecasts"],
                ["marts", "fct_demand"],
                ["marts", "dim_item_locations"],
            ],
            description=(
                "What each policy would have cost over the replayed weeks, with paired intervals, "
                "and which one decides."
            ),
            owners=OWNERS,
            kinds={"numpy"},
        ),
        dg.AssetSpec(
            ["decisions", "forecast_scores"],
            group_name="rehearse",
            deps=[["decisions", "forecasts"], ["marts", "fct_demand"]],
            description=decisions.TABLES["forecast_scores"],
            owners=OWNERS,
            kinds={"numpy"},
        ),
        dg.AssetSpec(
            ["decisions", "calibration"],
            group_name="rehearse",
            deps=[["marts", "fct_stock"], ["intermediate", "int_orders_received"]],
            description=(
                "The last half year in the digital twin with the orders really placed: its stock "
                "beside what was counted, by item class and place."
            ),
            owners=OWNERS,
            kinds={"numpy"},
        ),
    ],
)
def rehearse(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Rehearse again when a review interval has passed, or the contract's plan or economics have
    changed; until then the champion stands."""
    home = lakehouse.open_home()
    demand = open_demand(home)
    champions = champion_is_current(home, demand.timeline)
    if champions is None:
        result = rehearse_candidates(home, demand, progress=context.log.info)
        now, settings = demand.timeline.now_at, settings_digest(home)
        champions = (
            champions_frame(result, context.run_id, now, settings)
            if result
            else unrehearsed_frame(context.run_id, now, settings)
        )
        decisions.record(home.decisions, context.run_id, "champions", champions, as_of=now)
        record_calibration(home, context.run_id, now)
        if result:
            scores = scores_frame(result, context.run_id, now)
            decisions.record(home.decisions, context.run_id, "forecast_scores", scores, as_of=now)
    yield dg.MaterializeResult(
        asset_key=["decisions", "champions"],
        metadata={
            "champion": champions.filter("is_champion")["policy"].item(),
            "cost": dg.MetadataValue.md(
                charts.markdown(
                    champions.select("policy", "holding_cost", "shortage_cost", "total_cost")
                )
            ),
            "costs": charts.metadata(charts.policy_costs(champions)),
        },
    )
    for table, nothing in (
        ("forecast_scores", "too little history to rehearse a whole horizon"),
        ("calibration", "nothing was counted"),
    ):
        found = decisions.latest(home.decisions, table, demand.timeline.now_at)
        shown = nothing if found is None else charts.markdown(found.drop("run_id"), 3)
        yield dg.MaterializeResult(
            asset_key=["decisions", table], metadata={"error": dg.MetadataValue.md(shown)}
        )


@dg.multi_asset(
    name="stress",
    specs=[
        # they start from what the last run published; as a dependency that would be a circle
        dg.AssetSpec(
            ["decisions", table],
            group_name="stress",
            description=decisions.TABLES[table],
            owners=OWNERS,
            kinds={"numpy"},
        )
        for table in (SCENARIOS, LANES, PLACES)
    ],
)
def stress(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """The world's stress sets, every night, laid over futures that start from what is published;
    metrics.kpi_resilience shows it after the next run of the line."""
    home, world = lakehouse.open_home(), lakehouse.open_world()
    stressed = rehearse_stress(home, world, progress=context.log.info)
    rivals = [row for one in stressed for row in one.robustness()]
    against = charts.markdown(pl.DataFrame(rivals)) if rivals else "no rival was asked"
    yield dg.MaterializeResult(
        asset_key=["decisions", SCENARIOS],
        metadata={
            "studies": [one.study_id for one in stressed],
            "scenarios": sum(len(one.answers) for one in stressed),
            "does the champion hold": dg.MetadataValue.md(against),
        },
    )
    for table, made in ((LANES, lanes), (PLACES, places)):
        rows = sum(made(one).height for one in stressed)
        yield dg.MaterializeResult(asset_key=["decisions", table], metadata={"rows": rows})
