"""simulate: one scenario's answer is one partition; what may happen, asked from what is
published."""

import hashlib

import dagster as dg

from orchestration.app import studies
from orchestration.app.scenario_files import is_stress
from orchestration.defs.automation import ask
from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.facts.published_snapshots import PublishError

#: Who asked, as the desk lists it.
ASKER = "stockhouse"
#: The scenarios beside the world's contract and the desk's own, by the names of their files.
SCENARIOS = dg.DynamicPartitionsDefinition(name="scenarios")


class Futures(dg.Config):
    """How many futures a scenario meets."""

    futures: int = 20


@dg.asset(
    key=["studies", "scenario"],
    group_name="simulate",
    partitions_def=SCENARIOS,
    description=(
        "What one scenario changes in money, service and stock from what was published on, and "
        "what to do about it: a study with its report, and rows of decisions.scenarios."
    ),
    owners=OWNERS,
    kinds={"numpy"},
)
def scenario(
    context: dg.AssetExecutionContext, config: Futures, lakehouse: Lakehouse
) -> dg.MaterializeResult:
    """The scenario of that name, as `stockhouse simulate` answers it."""
    home, name = lakehouse.open_home(), context.partition_key
    made = studies.run_study(home, [name], config.futures, ASKER, context.log.info)
    said = studies.study_made(home, made).said
    found = {
        f"{answer['scenario']}: {figure}": answer["totals"][figure]["difference"]
        for answer in said["scenarios"]
        for figure in ("margin", "cost", "fill_rate")
    }
    advice = {f"{one['scenario']}: do": one["best_measure"] for one in said["scenarios"]}
    return dg.MaterializeResult(
        metadata={"study": made, "trust": said["trust"]["words"]} | found | advice
    )


ask_job = dg.define_asset_job(
    name="ask_scenario",
    selection=[scenario],
    description="One scenario in the twin: reads the published snapshot and writes decisions.",
    executor_def=dg.in_process_executor,
)


@dg.sensor(
    name="scenarios_to_ask",
    job=ask_job,
    minimum_interval_seconds=60,
    description="Asks a scenario as soon as its file lies on the shelf, and again once it changes.",
)
def scenarios_to_ask(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> dg.SensorResult | dg.SkipReason:
    """A partition for every file that can be asked now, and a run for each of its wordings; stress
    sets are the night's."""
    try:
        shelf = studies.scenario_files(lakehouse.open_home())
    except PublishError:
        return dg.SkipReason("nothing has been published yet")
    texts = {one.name: one.text for one in shelf if not one.trouble and not is_stress(one.path)}
    known = set(context.instance.get_dynamic_partitions(str(SCENARIOS.name)))
    asked = [
        ask(context, f"{name} {hashlib.sha256(text.encode()).hexdigest()}", partition_key=name)
        for name, text in sorted(texts.items())
    ]
    return dg.SensorResult(
        run_requests=[one for one in asked if isinstance(one, dg.RunRequest)],
        dynamic_partitions_requests=[
            SCENARIOS.build_add_request(sorted(texts.keys() - known)),
            SCENARIOS.build_delete_request(sorted(known - texts.keys())),
        ],
    )
