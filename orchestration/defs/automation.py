"""When: the daily line as one job, cut short after any station if asked, and the schedule that starts it."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration import STATIONS, intake
from orchestration.defs.resources import Lakehouse

WRITER = {"dagster/concurrency_key": "warehouse_writer"}  # one process writes to DuckDB at a time


def line_job(until: str) -> UnresolvedAssetJobDefinition:
    """Every station up to and including this one, with its gates."""
    stations = STATIONS[: STATIONS.index(until) + 1]
    return dg.define_asset_job(
        name="daily" if until == STATIONS[-1] else f"until_{until}",
        selection=dg.AssetSelection.groups(*stations),
        description="Raw extracts to orders." if until == STATIONS[-1] else f"The line up to {until}.",
        executor_def=dg.in_process_executor,  # a few fat steps; a process each would cost about 6 s a step
        tags=WRITER,
    )


def facts_job() -> UnresolvedAssetJobDefinition:
    """What a forecast or a replay reads: everything up to the feature rows, without serving them online."""
    facts = dg.AssetSelection.groups("land", "transform", "features") - dg.AssetSelection.assets(["features", "online_store"])
    return dg.define_asset_job(name="until_facts", selection=facts, executor_def=dg.in_process_executor, tags=WRITER)


def rebuild_job() -> UnresolvedAssetJobDefinition:
    """Everything under derived/ that follows from state/ alone; decisions are kept, not made again."""
    return dg.define_asset_job(
        name="until_rebuild",
        selection=dg.AssetSelection.groups("land", "transform", "features", "publish"),
        executor_def=dg.in_process_executor,
        tags=WRITER,
    )


@dg.sensor(
    name="deliveries",
    job_name="until_land",
    minimum_interval_seconds=60,
    description="Asks databases and APIs, hands on what streams received, and lands whatever has come.",
)
def deliveries(lakehouse: Lakehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something new lies in the inbox; the names are the run key, so the same delivery asks once."""
    home, world = lakehouse.open_home(), lakehouse.open_world()
    names = sorted(intake.pull(world, home.inbox) + intake.drain(world, home.inbox))
    yield dg.RunRequest(run_key="|".join(names)) if names else dg.SkipReason("nothing new has arrived")


@dg.definitions
def automation() -> dg.Definitions:
    jobs = [line_job(station) for station in STATIONS]
    every_morning = dg.ScheduleDefinition(
        name="every_morning",
        job=jobs[-1],
        cron_schedule="0 5 * * *",
        execution_timezone="UTC",
        description="The whole line once a day, after the night's extracts have arrived.",
    )
    return dg.Definitions(jobs=[*jobs, facts_job(), rebuild_job()], schedules=[every_morning], sensors=[deliveries])
