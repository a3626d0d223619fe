"""rehearse: the candidate policies run the last months in the digital twin; the one that provably
costs least decides."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts import decisions
from orchestration.planning.demand import open_demand
from orchestration.planning.rehearsal import champion_is_current, champions_frame, unrehearsed_frame
from orchestration.planning.rehearsal import rehearse as rehearse_candidates
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
        )
    ],
)
def rehearse(
    context: dg.AssetExecutionContext, lakehouse: Lakehouse
) -> Iterator[dg.MaterializeResult]:
    """Rehearse again when a review interval has passed; until then the champion stands."""
    home = lakehouse.open_home()
    demand = open_demand(home)
    champions, shown = champion_is_current(home, demand), {}
    if champions is None:
        result = rehearse_candidates(home, demand, progress=context.log.info)
        now = demand.timeline.now_at
        champions = (
            champions_frame(result, context.run_id, now)
            if result
            else unrehearsed_frame(context.run_id, now)
        )
        decisions.record(home.decisions, context.run_id, "champions", champions)
        if result:
            shown["forecasts_on_rolling_origins"] = dg.MetadataValue.md(
                charts.markdown(result.scores, digits=3)
            )
    yield dg.MaterializeResult(
        asset_key=["decisions", "champions"],
        metadata={
            "champion": champions.filter("is_champion")["policy"].item(),
            "cost": dg.MetadataValue.md(
                charts.markdown(
                    champions.select("policy", "holding_cost", "shortage_cost", "total_cost")
                )
            ),
            **shown,
            "costs": charts.metadata(charts.policy_costs(champions)),
        },
    )
