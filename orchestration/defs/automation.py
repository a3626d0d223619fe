"""When: the daily line as one job, cut short after any station if asked, and the schedule that starts it."""

from collections.abc import Iterator

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from orchestration import STATIONS, WRITER_TAG, intake
from orchestration.app import procurement
from orchestration.app.event_replan import unanswered
from orchestration.defs.procure import INBOX, INVOICES, OUTBOX, SEND
from orchestration.defs.resources import Lakehouse
from orchestration.facts import snapshots

WRITER = {WRITER_TAG: "warehouse"}  # one process writes to DuckDB at a time


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


def procure_job() -> UnresolvedAssetJobDefinition:
    """Hear suppliers, match goods and bills, send: reads the published snapshot and writes the ledger, so it may run beside the line."""
    return dg.define_asset_job(
        name="procure",
        selection=dg.AssetSelection.groups("procure"),
        description="From requisition to payment proposal; sends only where the run's config says `send: true`.",
        executor_def=dg.in_process_executor,
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


@dg.sensor(
    name="supplier_messages",
    job_name="procure",
    minimum_interval_seconds=30,
    description="Hears suppliers as soon as a message lies in one of their folders, and matches what it says.",
)
def supplier_messages(lakehouse: Lakehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where a message waits; names and times are the run key, so the same mail asks once."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        waiting = [f"{path}@{path.stat().st_mtime_ns}" for path in desk.ledger.waiting_mail(desk.partners)]
    if waiting:
        yield dg.RunRequest(run_key="|".join(waiting), asset_selection=[INBOX, INVOICES])
    else:
        yield dg.SkipReason("no supplier has said anything new")


@dg.sensor(
    name="goods_and_bills",
    job_name="procure",
    minimum_interval_seconds=60,
    description="Matches anew when a run has published what arrived.",
)
def goods_and_bills(lakehouse: Lakehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run for every published snapshot, once."""
    try:
        version = snapshots.current(lakehouse.open_home().published).version
    except snapshots.PublishError:
        yield dg.SkipReason("nothing has been published yet")
    else:
        yield dg.RunRequest(run_key=f"snapshot {version}", asset_selection=[INVOICES])


@dg.sensor(
    name="orders_to_send",
    job_name="procure",
    minimum_interval_seconds=60,
    description="Approves within the limits and sends for real: who starts this sensor says yes to that. The kill switch stops it.",
)
def orders_to_send(lakehouse: Lakehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something may leave: a requisition, an approved line, or a message whose next attempt is due."""
    with procurement.open_desk(lakehouse.open_home()) as desk:
        due = desk.ledger.due()
    if due is None:
        yield dg.SkipReason("nothing is due, or the kill switch is on")
    else:
        yield dg.RunRequest(run_key=due, asset_selection=[OUTBOX], run_config=SEND)


@dg.sensor(
    name="happenings",
    job_name="event_replan",
    minimum_interval_seconds=10,
    description="Re-plans at once what a late answer, a short shipment, a closed place or a surge concerns; it sends nothing.",
)
def happenings(lakehouse: Lakehouse) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A run where something happened that nobody has answered; asking again for the same state starts no second run."""
    state = unanswered(lakehouse.open_home(), lakehouse.open_world())
    yield dg.RunRequest(run_key=state) if state else dg.SkipReason("nothing has happened that was not answered")


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
    return dg.Definitions(
        jobs=[*jobs, facts_job(), rebuild_job(), procure_job()],
        schedules=[every_morning],
        sensors=[deliveries, supplier_messages, goods_and_bills, orders_to_send, happenings],  # all of them off until somebody starts them
    )
