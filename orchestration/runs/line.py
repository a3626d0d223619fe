"""The line as one call: execute the Dagster job in this process, tell progress as it goes, and say
what came of it."""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from orchestration import WRITER_TAG
from orchestration.errors import REFUSED, StockhouseError, translate
from orchestration.home import Home, HomeError, files
from orchestration.runs.event_log import instance_at

#: Dagster's own settings for a home: nothing leaves the machine, a killed run frees the writer's
#: slot.
INSTANCE = {
    "telemetry": {"enabled": False},
    "concurrency": {
        "pools": {"default_limit": 1},
        # a second line waits in the queue for the first
        "runs": {"tag_concurrency_limits": [{"key": WRITER_TAG, "limit": 1}]},
    },
    "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 60},
    "nux": {"enabled": False},  # no newsletter dialog before the first look at the graph
}


#: Where Dagster keeps runs, events and schedules when several processes work on one home.
RUNS_URL = "STOCKHOUSE_DAGSTER_URL"
POSTGRES = {"postgres": {"postgres_url": {"env": RUNS_URL}}}

#: What has a job of its own name; every other station is the end of a line cut short after it.
#: `procure` is the explicit sending.
JOBS = {"publish": "daily", "procure": "procure"}
#: Runs that read the archive and look at no delivery beyond it.
FROM_ARCHIVE = ("rebuild", "past")


#: What DuckDB makes of an interrupt that comes while it answers.
CUT_QUERY = "Query interrupted"


class LineStopped(StockhouseError):
    """A station or a gate stopped the run; the message is the reason a person can act on, the exit
    code that of its error."""

    label = "stopped"

    def __init__(self, reason: str, exit_code: int = REFUSED, warnings: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.exit_code, self.warnings = exit_code, tuple(warnings)


@dataclass
class LineReport:
    """What one run did; the keys are the contract of `stockhouse run --json`."""

    new_deliveries: int = 0
    new_rows: int = 0
    quarantined_rows: int = 0
    new_orders: int = 0
    order_lines: int = 0
    champion: str | None = None
    order_value: float = 0.0
    purchase_value: float = 0.0  # of it what is bought; the rest only moves between own places
    currency: str = ""
    dagster_run_id: str = ""
    stations: dict[str, float] = field(default_factory=dict)
    # files that were passed over or set aside at the door, and why
    passed_over: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    # sources whose archive was read by a contract that has changed
    read_anew: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The run's result as plain values, for --json."""
        return asdict(self)


def instance_of(home: Home) -> dg.DagsterInstance:
    """The Dagster instance that keeps this home's runs; `dg dev` with DAGSTER_HOME set to the same
    folder shows them."""
    settings = home.dagster / "dagster.yaml"
    kept = yaml.safe_load(settings.read_text(encoding="utf-8")) if settings.exists() else INSTANCE
    wanted = kept if "storage" in kept else kept | _storage()
    if wanted.get("storage") == POSTGRES and not os.environ.get(RUNS_URL):
        raise HomeError(f"the runs of {home.root} are kept in PostgreSQL: set {RUNS_URL} as before")
    if wanted != kept or not settings.exists():
        files.write(settings, yaml.safe_dump(wanted))
    return instance_at(home.dagster)


def _storage() -> dict[str, Any]:
    """Where Dagster keeps runs: PostgreSQL if the environment says so, else files in the home. The
    settings name the variable, so that no password is written down."""
    if not os.environ.get(RUNS_URL):
        return {}
    if find_spec("dagster_postgres") is None:
        raise HomeError(
            f"{RUNS_URL} needs the extra `postgres`: pip install 'stockhouse[postgres]'"
        )
    return {"storage": POSTGRES}


Step = Callable[[str, str], None]


@dataclass
class _Listener:
    """What is heard of a run while it goes: how long each station took, and why steps failed, the
    first first."""

    on_step: Step | None
    started: dict[str, float] = field(default_factory=dict)
    stations: dict[str, float] = field(default_factory=dict)
    failures: dict[str, LineStopped] = field(default_factory=dict)

    def hear(self, entry: dg.EventLogEntry) -> None:
        """One event of Dagster's log."""
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        step = event.step_key
        if event.is_step_start:
            self.started[step] = time.monotonic()
            self._tell(step, "start")
        elif event.is_step_success or event.is_step_failure:
            station = step.split("__")[0]
            seconds = time.monotonic() - self.started.get(step, time.monotonic())
            self.stations[station] = round(self.stations.get(station, 0.0) + seconds, 2)
            self._tell(step, "success" if event.is_step_success else "failure")
            if event.is_step_failure:
                self._fail(step, event.step_failure_data.error)

    def _tell(self, step: str, what: str) -> None:
        if self.on_step:
            self.on_step(step, what)

    def _fail(self, step: str, error: Any) -> None:
        reason = error.message.strip() if error else f"{step} failed without saying why"
        is_told = error and error.cls_name == dg.DagsterExecutionInterruptedError.__name__
        if is_told or reason.endswith(CUT_QUERY):
            reason = "it was stopped from outside: run it again"
        self.failures.setdefault(step, LineStopped(reason))
        # the whole story, for the run's log
        sys.stdout.write(error.to_string() if error else "")

    @property
    def first_failure(self) -> LineStopped:
        """Why the run stopped, in its first failed step's own words."""
        unsaid = LineStopped("the run failed before its first step; see the log above")
        return next(iter(self.failures.values()), unsaid)


def run_line(
    home: Home, lakehouse: dict[str, Any], until: str = "publish", *, on_step: Step | None = None
) -> LineReport:
    """Run the line up to a station; `on_step(step, 'start' | 'success' | 'failure')` hears every
    step as it happens.

    lakehouse: the resource's settings (world, data, home, as_of). Raises LineStopped with the first
    failure's own words.
    """
    # loading the graph parses dbt; only a run needs it
    from orchestration.definitions import defs  # noqa: PLC0415

    run_id, listener = str(uuid.uuid4()), _Listener(on_step)
    # checks of tables that stand are skipped on purpose; dagster would warn of each of them
    logging.getLogger("dagster._core.execution.plan.active").setLevel(logging.ERROR)

    @dg.failure_hook
    def keep(context: dg.HookContext) -> None:
        """Dagster tells of an error as text; a hook alone is given the error itself."""
        if context.op_exception is not None:
            listener.failures[context.step_key] = _stopped(context.op_exception)

    home.remember(
        Path(lakehouse["world"]), Path(lakehouse["data"]) if "data" in lakehouse else None
    )
    with home.writing(), instance_of(home) as instance:
        instance.add_event_listener(run_id, listener.hear)
        job = defs().resolve_job_def(JOBS.get(until, f"until_{until}")).with_hooks({keep})
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            run_config=_run_config(lakehouse, until),
            raise_on_error=False,
        )
        report = _reported(job, result, instance, listener.stations)
    if not result.success:
        stop = listener.first_failure
        checks = result.get_asset_check_evaluations()
        broken = [_law(job, check) for check in checks if _is_broken(check)]
        raise LineStopped("\n".join([*broken, str(stop)]), stop.exit_code, report.warnings)
    return report


def _run_config(lakehouse: dict[str, Any], until: str) -> dict[str, Any]:
    # loading the graph parses dbt; only a run needs it
    from orchestration.defs.procure import SEND  # noqa: PLC0415

    is_rebuilt = {"from_archive": until in FROM_ARCHIVE}
    return {
        "resources": {"lakehouse": {"config": lakehouse | is_rebuilt}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        **(SEND if until == "procure" else {}),
    }


def _reported(
    job: dg.JobDefinition,
    result: dg.ExecuteInProcessResult,
    instance: dg.DagsterInstance,
    stations: dict[str, float],
) -> LineReport:
    report = LineReport(dagster_run_id=result.run_id, stations=stations)
    for event in result.get_asset_materialization_events():
        _collect(report, event)
    report.warnings = [
        *(f"passed over {said}" for said in report.passed_over),
        *(f"set aside {said}" for said in report.set_aside),
        *report.doubts,
        *(_law(job, check) for check in result.get_asset_check_evaluations() if _is_warning(check)),
        *(_law(job, check) for check in _of_what_stands(job, result, instance)),
    ]
    return report


def _of_what_stands(
    job: dg.JobDefinition, result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance
) -> Iterator[dg.AssetCheckEvaluation]:
    """Warnings about tables that stand as an earlier run built them, from when they were built."""
    stand = {
        event.asset_key
        for event in result.get_asset_materialization_events()
        if "is_unchanged" in event.materialization.metadata
    }
    keys = [key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key in stand]
    for record in instance.event_log_storage.get_asset_check_summary_records(keys).values():
        last = record.last_completed_check_execution_record
        if last and last.evaluation and _is_warning(last.evaluation):
            yield last.evaluation


def _law(job: dg.JobDefinition, check: dg.AssetCheckEvaluation) -> str:
    """What a check found, or else the law it holds."""
    spec = job.asset_layer.asset_graph.get_check_spec(check.asset_check_key)
    return check.description or spec.description or check.check_name


def _is_warning(check: dg.AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity == dg.AssetCheckSeverity.WARN


def _is_broken(check: dg.AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity == dg.AssetCheckSeverity.ERROR


def _stopped(error: BaseException) -> LineStopped:
    """What a step's error stops the line with: a message of ours and its exit code, or the bare
    words of a tool's."""
    told = translate(error)
    return LineStopped(told.message, told.exit_code) if told else LineStopped(str(error).strip())


def _collect(report: LineReport, event: dg.DagsterEvent) -> None:
    """Read the run's figures from the metadata the stations left on their assets."""
    for name, value in event.materialization.metadata.items():
        if hasattr(report, name):
            setattr(report, name, value.value)


def settings(
    world: Path, data: Path | None, home: Path, as_of: str | None, *, strict: bool = False
) -> dict[str, Any]:
    """The lakehouse resource's settings for one run; absent ones keep their defaults. strict: a
    file that cannot be read stops it."""
    given = {"world": world, "data": data, "home": home, "as_of": as_of}
    return {name: str(value) for name, value in given.items() if value is not None} | (
        {"strict": True} if strict else {}
    )
