"""From Great Expectations to Dagster: each expectation is one asset check with its true
severity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from orchestration.expectations.check import CheckOutcome
from orchestration.expectations.laws import Gate

_SEVERITY = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def asset_of(table: str) -> dg.AssetKey:
    """The asset that a table is: schema.table is schema/table."""
    return dg.AssetKey(table.split("."))


def check_specs(gate: Gate) -> list[dg.AssetCheckSpec]:
    """One asset check per law of a gate, on the table it speaks of; only errors block what comes
    after."""
    return [
        dg.AssetCheckSpec(
            name=law.name,
            asset=asset_of(law.table),
            description=law.description,
            blocking=law.severity == "error",
        )
        for law in gate.laws
    ]


def check_results(outcomes: Iterable[CheckOutcome]) -> Iterator[dg.AssetCheckResult]:
    """What Great Expectations found, as Dagster shows it: the count, the first rows that break the
    law, and one sentence."""
    for outcome in outcomes:
        yield dg.AssetCheckResult(
            asset_key=asset_of(outcome.table),
            check_name=outcome.name,
            passed=outcome.passed,
            severity=_SEVERITY[outcome.severity],
            description=outcome.summary,
            metadata={
                "broken_rows": outcome.observed,
                "first_broken_rows": dg.MetadataValue.json(outcome.failed_rows),
            },
        )
