"""When: the daily line as one job, cut short after any station if asked, and the schedule that
starts it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from models.safe_names import name_of
from orchestration import STATIONS, WRITER_TAG, intake
from orchestration.app import procurement
from orchestration.app.event_replan import unanswered
from orchestration.defs.procure import INBOX, INVOICES, OUTBOX, SEND
from orchestration.defs.resources import Lakehouse
from orchestration.facts import published_snapshots

#: Dagster's own tag of the key that a run was asked for under.
RUN_KEY_TAG = "dagster/run_key"
LONGEST_KEY = 500
FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=60), timedelta(hours=1)
WRITER = {WRITER_TAG: "warehouse"}  # one process writes to DuckDB at a time


def line_job(until: str) -> UnresolvedAssetJobDefinition:
    """Every station up to and including this one, with its gates."""
    stations = STATIONS[: STATIONS.index(until) + 1]
    return dg.define_asset_job(
        name="daily" if until == STATIONS[-1] else f"until_{until}",
        selection=dg.AssetSelection.groups(*stations),
        description="Raw extracts to orders."
        if until == STATIONS[-1]
        else f"The line up to {until}.",
        # a few fat steps; a process each would cost about 6 s a step
        executor_def=dg.in_process_executor,
        tags=WRITER,
    )


def facts_job() -> UnresolvedAssetJobDefinition:
    """What a forecast or a replay reads: everything up to the feature rows, without serving them
    online."""
    facts = dg.AssetSelection.groups("land", "transform", "features") - dg.AssetSelection.assets(
        ["features", "online_store"]
    )
    return dg.define_asset_job(
        name="until_facts", selection=facts, executor_def=dg.in_process_executor, tags=WRITER
    )


def rebuild_job() -> UnresolvedAssetJobDefinition:
    """Everything under derived/ that follows from state/ alone; decisions are kept, not made
    again."""
    return dg.define_asset_job(
        name="until_rebuild",
        selection=dg.AssetSelection.groups("land", "transform", "features", "publish"),
        executor_def=dg.in_process_executor,
        tags=WRITER,
    )


def past_job() -> UnresolvedAssetJobDefinition:
    """What was known, forecast, rehearsed and planned on an earlier day, for the twin to start
    from; nothing is proposed to the ledger."""
    groups = ("land", "transform", "features", "forecast", "rehearse", "replenish")
    aside = dg.AssetSelection.assets(["features", "online_store"], ["ledger", "requisitions"])
    return dg.define_asset_job(
        name="until_past",
        selection=dg.AssetSelection.groups(*groups) - aside,
        executor_def=dg.in_process_executor,
        tags=WRITER,
    )


def procure_job() -> UnresolvedAssetJobDefinition:
    """Hear suppliers, match goods and bills, send: reads the published snapshot and writes the
    ledger, so it may run beside the line."""
    return dg.define_asset_job(
        name="procure",
        selection=dg.AssetSelection.groups("procure"),
        description=(
            "From requisition to payment proposal; sends only where the run's config says `send: "
            "true`."
        ),
        executor_def=dg.in_process_executor,
    )


def stress_job() -> UnresolvedAssetJobDefinition:
    """The stress sets in the twin: reads the published snapshot and writes decisions, so it may run
    beside the line."""
    return dg.define_asset_job(
        name="rehearse_stress",
        selection=dg.AssetSelection.groups("stress"),
        description="What the world's stress sets would do to the company as it is published.",
        executor_def=dg.in_process_executor,
    )


def ask(
    context: dg.SensorEvaluationContext, key: str, **what: Any
) -> dg.RunRequest | dg.SkipReason:
    """A run for a state of things that `key` names: asked for once, and again for as long as the
    run fails.

    A run key is used up by its first run, however that ended, so it carries the attempt. The second
    failure in a row makes the next attempt wait FIRST_PAUSE, each further one twice as long, up to
    LONGEST_PAUSE.
    """
    key = key if key.isprintable() and len(key) <= LONGEST_KEY else name_of(key)
    attempt, run_key = 1, key
    while (last := _last_run(context.instance, run_key)) is not None:
        if last.dagster_run.status not in FAILED:
            break  # under way, or done: the daemon asks no second time for this key
        pause = min(FIRST_PAUSE * 2 ** (attempt - 2), LONGEST_PAUSE) if attempt > 1 else timedelta()
        rested = datetime.now(UTC) - last.update_timestamp.replace(tzinfo=UTC)
        if rested < pause:
            return dg.SkipReason(f"attempt {attempt} failed; the next follows after {pause}")
        attempt += 1
        run_key = f"{key}, attempt {attempt}"
    return dg.RunRequest(run_key=run_key, **what)


def _last_run(instance: dg.DagsterInstance, run_key: str) -> dg.RunRecord | None:
    filters = dg.RunsFilter(tags={RUN_KEY_TAG: run_key})
    return next(iter(instance.get_run_records(filters, limit=1)), None)


@dg.sensor(
    name="deliveries",
    job_name="until_land",
    minimum_interval_seconds=60,
    description=(
        "Asks databases and APIs, hands on what streams received, and lands whatever has come."
    ),
)
def deliveries(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something lies in the inbox that has not landed, now or since a run that failed;
    its names are the key."""
    home, world = lakehouse.open_home(), lakehouse.open_world()
    intake.pull(world, home.inbox)
    intake.drain(world, home.inbox)
    names = intake.lying(world, home.inbox)
    yield ask(context, "|".join(names)) if names else dg.SkipReason("nothing new has arrived")


@dg.sensor(
    name="supplier_messages",
    job_name="procure",
    minimum_interval_seconds=30,
    description=(
        "Hears suppliers as soon as a message lies in one of their folders, and matches what it "
        "says."
    ),
)
def supplier_messages(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where a message waits; names and times are the key, so the same mail asks until a run
    has heard it."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        partners = desk.partners
        for line in desk.ledger.fetch(partners, desk.now):
            context.log.info(line)
        waiting = [f"{path}@{_changed_at(path)}" for path in desk.ledger.waiting_mail(partners)]
    if waiting:
        yield ask(context, "|".join(waiting), asset_selection=[INBOX, INVOICES])
    else:
        yield dg.SkipReason("no supplier has said anything new")


def _changed_at(path: Path) -> int:
    """When a file, or a link by itself, was last put there, made readable or written (ns); 0 where
    it is gone already."""
    try:
        return path.lstat().st_ctime_ns
    except FileNotFoundError:
        return 0


@dg.sensor(
    name="goods_and_bills",
    job_name="procure",
    minimum_interval_seconds=60,
    description="Matches anew when a run has published what arrived.",
)
def goods_and_bills(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run for every published snapshot, once."""
    try:
        version = published_snapshots.current(lakehouse.open_home().published).version
    except published_snapshots.PublishError:
        yield dg.SkipReason("nothing has been published yet")
    else:
        yield ask(context, f"snapshot {version}", asset_selection=[INVOICES])


@dg.sensor(
    name="orders_to_send",
    job_name="procure",
    minimum_interval_seconds=60,
    description=(
        "Approves within the limits and sends for real: who starts this sensor says yes to that. "
        "The kill switch stops it."
    ),
)
def orders_to_send(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something may leave: a requisition, an approved line, or a message whose next
    attempt is due."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        due = desk.ledger.due()
    if due is None:
        yield dg.SkipReason("nothing is due, or the kill switch is on")
    else:
        yield ask(context, due, asset_selection=[OUTBOX], run_config=SEND)


@dg.sensor(
    name="happenings",
    job_name="event_replan",
    minimum_interval_seconds=10,
    description=(
        "Re-plans at once what a late answer, a short shipment, a closed place or a surge "
        "concerns; it sends nothing."
    ),
)
def happenings(
    context: dg.SensorEvaluationContext, lakehouse: Lakehouse
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something happened that nobody has answered; asking again for the same state
    starts no second run."""
    state = unanswered(lakehouse.open_home(), lakehouse.open_world())
    yield (
        ask(context, state)
        if state
        else dg.SkipReason("nothing has happened that was not answered")
    )


@dg.definitions
def automation() -> dg.Definitions:
    """Schedules, sensors and the jobs they start: the line every morning, the stress sets every
    night."""
    jobs = [line_job(station) for station in STATIONS]
    every_morning = dg.ScheduleDefinition(
        name="every_morning",
        job=jobs[-1],
        cron_schedule="0 5 * * *",
        execution_timezone="UTC",
        description="The whole line once a day, after the night's extracts have arrived.",
    )
    stress = stress_job()
    every_night = dg.ScheduleDefinition(
        name="every_night",
        job=stress,
        cron_schedule="0 22 * * *",
        execution_timezone="UTC",
        description="The stress sets, on what the day's run published.",
    )
    return dg.Definitions(
        jobs=[*jobs, facts_job(), rebuild_job(), past_job(), procure_job(), stress],
        schedules=[every_morning, every_night],
        # all of them off until somebody starts them
        sensors=[deliveries, supplier_messages, goods_and_bills, orders_to_send, happenings],
    )
