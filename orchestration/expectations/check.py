"""Validate a gate: ask Great Expectations about every law, name the rows that break it, and keep
the answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from orchestration.errors import REFUSED, StockhouseError
from orchestration.expectations.docs import write_docs
from orchestration.expectations.laws import Gate, Law, Severity
from orchestration.home import files
from orchestration.home.sql import literal

#: How many broken rows an outcome names; Great Expectations counts them all.
SAMPLE = 20


class GateClosed(StockhouseError):
    """A law was broken at a gate, so nothing behind it may run; the message names the laws and the
    first row that breaks each."""

    exit_code = REFUSED
    label = "stopped"


class GateError(StockhouseError):
    """A gate could not be checked, so nothing may pass it; the message says which table or law and
    why."""

    exit_code = REFUSED
    label = "stopped"


@dataclass(frozen=True)
class CheckOutcome:
    """What one expectation found: whether it holds, how many rows break it, and which (at most 20,
    as text)."""

    name: str
    table: str
    passed: bool
    severity: Severity
    observed: int
    failed_rows: list[dict[str, Any]]
    description: str

    @property
    def blocks(self) -> bool:
        """An error that was found always blocks; a warning never does."""
        return not self.passed and self.severity == "error"

    @property
    def summary(self) -> str:
        """One sentence for a log or a check's description."""
        if self.passed:
            return f"{self.table}: {self.description}"
        first = (
            ", ".join(f"{name}={value}" for name, value in self.failed_rows[0].items())
            if self.failed_rows
            else ""
        )
        return (
            f"{self.table}: {self.observed} {'row breaks' if self.observed == 1 else 'rows break'} "
            f"the law “{self.description}” First: "
            f"{first}"
        )


def expectation_names(gate: Gate) -> list[str]:
    """The names of a gate's expectations, known before any data is seen."""
    return [law.name for law in gate.laws]


def validate(
    warehouse: Path,
    gate: Gate,
    run_id: str,
    *,
    data_docs_dir: Path | None = None,
    results_dir: Path | None = None,
) -> list[CheckOutcome]:
    """Check every law of a gate against the warehouse file, which no other handle of this process
    may hold open.

    run_id: the run whose rows are judged, where the gate judges one run (`orders_out`), and the
    name its results are kept under.
    data_docs_dir: where to write Great Expectations' Data Docs (a site a gate). results_dir: keeps
    one Parquet file a validation. Raises GateError if a table is missing or a law cannot be
    evaluated: what cannot be checked does not pass.
    """
    deliveries = _require(warehouse, gate)
    # Great Expectations takes seconds to import
    from orchestration.expectations.great_expectations_run import validation  # noqa: PLC0415

    found: dict[str, Any] = {}
    with validation(warehouse) as run:
        for table in gate.tables:
            found |= run.of(
                table,
                {law.name: _of_run(law, gate, run_id) for law in gate.laws if law.table == table},
            )
        if data_docs_dir is not None:
            write_docs(run.context, gate, found, data_docs_dir / gate.name)
    outcomes = [_outcome(law, found[law.name]) for law in gate.laws]
    if results_dir is not None:
        _keep(results_dir, gate, run_id, deliveries, outcomes)
    return outcomes


def _require(warehouse: Path, gate: Gate) -> int | None:
    """Refuse a warehouse that lacks a table under test; how many deliveries it has read, where it
    has a manifest."""
    if not warehouse.exists():
        raise GateError(
            f"Gate {gate.name}: there is no warehouse at {warehouse}. Run the line up to the "
            "station before it first."
        )
    with duckdb.connect(str(warehouse), read_only=True) as con:
        listed = con.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
        ).fetchall()
        present = {name for (name,) in listed}
        if missing := [table for table in gate.tables if table not in present]:
            raise GateError(
                f"Gate {gate.name}: the warehouse has no table {', '.join(missing)}. Run the "
                "station that makes it first."
            )
        read = (
            con.execute("select count(*) from raw.manifest").fetchone()
            if "raw.manifest" in present
            else None
        )
    return read[0] if read else None


def _of_run(law: Law, gate: Gate, run_id: str) -> Law:
    """The law over the rows of one run only, where the gate judges a run and the table keeps them
    all."""
    if law.table not in gate.run_only:
        return law
    this = literal(run_id).replace("{", "{{").replace("}", "}}")
    return replace(
        law,
        broken_by=law.broken_by.replace(
            "{batch}", f"(select * from {{batch}} where run_id = {this})"
        ),
    )


def _outcome(law: Law, result: Any) -> CheckOutcome:
    if result.exception_info.get("raised_exception", True):
        reasons = [
            info["exception_message"]
            for info in result.exception_info.values()
            if isinstance(info, dict)
        ]
        raise GateError(
            f"{law.table}: the law {law.name} cannot be checked. "
            f"{' '.join(reasons) or result.exception_info}"
        )
    broken = int(result.result["observed_value"])
    rows = result.result["details"]["unexpected_rows"][:SAMPLE]
    return CheckOutcome(
        law.name, law.table, bool(result.success), law.severity, broken, rows, law.description
    )


def require_open(results_dir: Path, gate: Gate) -> None:
    """Raise GateClosed unless the gate's newest kept validation found no broken error: also a run
    of its own is stopped by it."""
    newest = history(results_dir, gate).filter(pl.col("checked_at") == pl.col("checked_at").max())
    if newest.is_empty():
        raise GateClosed(f"Gate {gate.name} has never been checked. Run the line up to it first.")
    broken = newest.filter(~pl.col("passed") & (pl.col("severity") == "error"))
    if not broken.is_empty():
        raise GateClosed(f"Gate {gate.name} is closed:\n" + "\n".join(broken["summary"]))


def history(results_dir: Path, gate: Gate) -> pl.DataFrame:
    """Every kept outcome of a gate, oldest first: run_id, checked_at (UTC), how many deliveries had
    been read by then, and the fields of CheckOutcome; failed_rows as JSON."""
    files = sorted(results_dir.glob(f"{gate.name}-*.parquet"))
    kept = [pl.DataFrame(schema=_KEPT), *(pl.read_parquet(file) for file in files)]
    return pl.concat(kept, how="diagonal").sort("checked_at", "name")


_KEPT: dict[str, Any] = {
    "gate": pl.String,
    "run_id": pl.String,
    "checked_at": pl.Datetime("us"),
    "deliveries": pl.Int64,
    "name": pl.String,
    "table": pl.String,
    "passed": pl.Boolean,
    "severity": pl.String,
    "observed": pl.Int64,
    "failed_rows": pl.String,
    "description": pl.String,
    "summary": pl.String,
}


def _keep(
    folder: Path, gate: Gate, run_id: str, deliveries: int | None, outcomes: Sequence[CheckOutcome]
) -> None:
    """One Parquet file a validation, whole or not at all: the history of what the gates found."""
    moment = datetime.now(UTC).replace(tzinfo=None)
    said = {"gate": gate.name, "run_id": run_id, "checked_at": moment, "deliveries": deliveries}
    rows = [
        {
            **said,
            **asdict(outcome),
            "failed_rows": json.dumps(outcome.failed_rows, default=str),
            "summary": outcome.summary,
        }
        for outcome in outcomes
    ]
    with files.replacing(
        folder / f"{gate.name}-{moment:%Y%m%dT%H%M%S%f}-{run_id}.parquet"
    ) as aside:
        pl.DataFrame(rows, schema=_KEPT).write_parquet(aside)
