"""Recompute: the quantity of an order line made anew from state/ alone, knowing only what its run
knew.

state/archive, as far as the run had read it -> a home of its own -> land, transform, features ->
model -> plan
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.expectations import GATES, history
from orchestration.facts import decisions, kept_models
from orchestration.facts.forecasters import forecaster_of
from orchestration.facts.kept_agents import AGENT, share_agent
from orchestration.facts.timeline import day_ending_at
from orchestration.facts.trace import TraceError
from orchestration.home import Home
from orchestration.landing import World
from orchestration.landing.contract import privacy
from orchestration.landing.load.store import Archive, read_receipts, read_sidecar, write_sidecar
from orchestration.planning import override_journal
from orchestration.planning.demand import open_demand
from orchestration.planning.model_registry import current_model
from orchestration.planning.plan import plan_orders
from orchestration.runs.line import run_line, settings


@dataclass(frozen=True)
class Recomputed:
    """One order line beside the same line made anew; recomputed is None where the new plan does not
    order it."""

    order_line_id: str
    as_of: datetime
    quantity: float
    recomputed: float | None
    model: str
    recomputed_model: str

    @property
    def is_same(self) -> bool:
        """Whether the quantity came out again, to nine digits."""
        return self.recomputed is not None and abs(self.quantity - self.recomputed) <= 1e-9 * max(
            1.0, abs(self.quantity)
        )

    def as_dict(self) -> dict[str, Any]:
        """The comparison as plain values, for --json."""
        return asdict(self) | {"is_same": self.is_same}

    def __str__(self) -> str:
        made = "not ordered" if self.recomputed is None else f"{self.recomputed:g}"
        model = (
            "the same model"
            if self.model == self.recomputed_model
            else f"model {self.recomputed_model} instead of {self.model}"
        )
        return (
            f"{self.order_line_id}: {self.quantity:g} decided, {made} recomputed, "
            f"{'the same' if self.is_same else 'NOT the same'}; {model}"
        )


@dataclass(frozen=True)
class Run:
    """What has to be remade of one run: when it decided, how many deliveries and bytes of the
    overrides' journal it had read (None: not on record, all of it), by which policy and model."""

    run_id: str
    as_of: datetime
    deliveries: int
    overrides: int | None
    policy: str
    model: str


def recompute(home: Home, world: Path, order_line_ids: Sequence[str]) -> list[Recomputed]:
    """Make the plans of these order lines anew and compare the quantities, line by line; one
    rebuild serves all lines of a run.

    world: the folder with the world's contract. The home is only read. Raises TraceError if a line
    or what its run knew is not on record, or if the archive no longer reaches the moment of the
    decision.
    """
    lines = _decided(home, order_line_ids)
    found: dict[str, Recomputed] = {}
    for run_id in dict.fromkeys(lines["run_id"]):
        asked = lines.filter(pl.col("run_id") == run_id)
        made, model = _plan_anew(home, world, _run(home, run_id))
        for row in asked.iter_rows(named=True):
            line = (
                row["order_line_id"],
                row["as_of"],
                row["quantity"],
                made.get(row["intent_key"]),
                row["model"],
                model,
            )
            found[row["order_line_id"]] = Recomputed(*line)
    return [found[line_id] for line_id in order_line_ids]


def _decided(home: Home, order_line_ids: Sequence[str]) -> pl.DataFrame:
    """The newest decision of each line."""
    files = sorted((home.decisions / "order_lines").glob("*.parquet"))
    kept = (
        pl.concat([decisions.read(file) for file in files], how="diagonal")
        if files
        else pl.DataFrame({"order_line_id": []})
    )
    meant = pl.coalesce(
        pl.when(
            pl.col("order_line_id").str.ends_with(f"-{asked}") | (pl.col("order_line_id") == asked)
        ).then(pl.lit(asked))
        for asked in order_line_ids
    )  # a line is meant by its own id, or by its need's without the run before it
    lines = (
        kept.with_columns(pl.col("order_line_id").cast(pl.String))
        .with_columns(order_line_id=meant)
        .filter(pl.col("order_line_id").is_not_null())
    )
    if missing := [line_id for line_id in order_line_ids if line_id not in lines["order_line_id"]]:
        raise TraceError(
            f"No run proposed an order line '{missing[0]}'. The lines of the last run are in "
            "decisions.order_lines."
        )
    return lines.sort("as_of").unique("order_line_id", keep="last", maintain_order=True)


def _run(home: Home, run_id: str) -> Run:
    line = decisions.read(home.decisions / "order_lines" / f"{run_id}.parquet").row(0, named=True)
    checked = history(home.gate_results, GATES["raw_in"]).filter(
        pl.col("run_id") == run_id, pl.col("deliveries").is_not_null()
    )
    if checked.is_empty():
        raise TraceError(
            f"It is not on record how far run {run_id} had read the archive: the results of its "
            "gates are gone."
        )
    return Run(
        run_id=run_id,
        as_of=line["as_of"],
        deliveries=checked["deliveries"][-1],
        overrides=decisions.overrides_read(home.decisions, run_id),
        policy=line["policy"],
        model=line["model"],
    )


def _plan_anew(home: Home, world: Path, run: Run) -> tuple[dict[str, float], str]:
    """The quantities of a run's plan by intent key, and the name of the model that made them."""
    trained = _run(home, _first_run_with(home, run.model))
    with _rebuilt(home, world, run) as place:
        if trained.run_id == run.run_id:
            current_model(place, open_demand(place))
        else:  # a model is kept for some reviews: this one learned from what an earlier run knew
            with _rebuilt(home, world, trained) as earlier:
                current_model(earlier, open_demand(earlier))
                shutil.copytree(earlier.models, place.models, dirs_exist_ok=True)
        if run.policy == AGENT:
            share_agent(home, place, decisions.agent_kept(home.decisions, run.run_id) or "")
        demand = open_demand(place)
        registered = current_model(place, demand)
        forecast = demand.predict(registered.model, demand.timeline.origin)
        plan = plan_orders(place, demand, forecast, run.policy, _budgets(home, run.run_id))
    return {line.intent_key: line.quantity for line in plan.lines}, registered.name


def _budgets(home: Home, run_id: str) -> dict[str, float]:
    """What a run had left of each budget, by name: its ledger has gone on since."""
    kept = home.decisions / "limits" / f"{run_id}.parquet"
    if not kept.exists():
        return {}
    limits = decisions.read(kept).filter(pl.col("resource") == "value")
    return dict(limits.select("name", pl.col("at_most").cast(pl.Float64)).iter_rows())


def _first_run_with(home: Home, model: str) -> str:
    """The run that trained a model is the first that planned with it."""
    runs = [
        (line["as_of"], path.stat().st_mtime_ns, path.stem)
        for path in (home.decisions / "order_lines").glob("*.parquet")
        if (line := next(iter(decisions.read(path, rows=1).iter_rows(named=True)), None))
        and line["model"] == model
    ]
    return min(runs)[2]


@contextmanager
def _rebuilt(home: Home, world: Path, run: Run) -> Iterator[Home]:
    """A home of its own with only what a run knew, rebuilt from the archive and gone on leaving;
    the real one is only read."""
    contract = World.load(world)
    with tempfile.TemporaryDirectory(prefix="stockhouse-recompute-") as scratch:
        place = Home.found(Path(scratch), contract.world)
        share_state(home, place, run.deliveries, run.overrides)
        learned_by = forecaster_of(run.model)
        if learned_by != kept_models.deciding_forecaster(place):
            kept_models.choose(place, learned_by, "recompute", f"it made {run.model}")
        day = day_ending_at(run.as_of, contract.timezone)
        as_of = None if day is None else day.isoformat()
        with (place.derived / "run.log").open("w", encoding="utf-8") as log, redirect_stdout(log):
            run_line(place, settings(world, None, place.root, as_of), "rebuild")
        now = open_demand(place).timeline.now_at
        if now != run.as_of:
            raise TraceError(
                f"The archive as run {run.run_id} read it ends at {now}, but it decided as of "
                f"{run.as_of}."
            )
        yield place


def share_state(home: Home, place: Home, deliveries: int, overrides: int | None = None) -> None:
    """Give another home what this one was handed in its first so many deliveries, what planners
    overrode in the first so many bytes of their journal (None: all), who forecasts, and the key
    that customers are hashed with."""
    link_archive(home.archive, place.archive, deliveries)
    for name in (override_journal.FILE, privacy.FILE):
        if (home.state / name).exists():
            shutil.copy(home.state / name, place.state / name)
    if overrides is not None and (known := place.state / override_journal.FILE).exists():
        known.write_bytes(known.read_bytes()[:overrides])
    decides = kept_models.deciding_forecaster(home)
    if decides != kept_models.deciding_forecaster(place):
        kept_models.choose(place, decides, "recompute", "it decides")


def link_archive(source: Path, target: Path, deliveries: int) -> None:
    """Make an archive of the first so many deliveries of another one; bytes are linked, not
    copied."""
    archive = Archive(target)
    for receipt in read_receipts(source)[:deliveries]:
        link = archive.incoming / receipt.sha256
        link.symlink_to((source / receipt.sha256).resolve())
        told, sidecar = (
            read_sidecar(source / f"{receipt.sha256}.json"),
            target / f"{receipt.sha256}.json",
        )
        # its bytes are no longer those its name says
        if "redacted" in told and not sidecar.exists():
            write_sidecar(sidecar, {"receipts": [], "redacted": told["redacted"]})
        archive.keep([(link, receipt)])
        link.unlink(missing_ok=True)
    archive.acknowledge()
    archive.close()
