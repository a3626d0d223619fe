"""The gates in the graph: one asset check an expectation; a broken error stops everything downstream, a warning is only shown."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import Lakehouse
from orchestration.expectations import GATES, Gate, validate

SEVERITY = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}


def gate_checks(gate: Gate, step: str) -> dg.AssetChecksDefinition:
    """All expectations of one gate as one step."""

    @dg.multi_asset_check(
        name=step,
        specs=[
            dg.AssetCheckSpec(law.name, asset=law.table.split("."), description=law.description, blocking=law.severity == "error")
            for law in gate.laws
        ],
    )
    def check(context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse) -> Iterator[dg.AssetCheckResult]:
        home = lakehouse.open_home()
        outcomes = validate(home.warehouse, gate, context.run_id, data_docs_dir=home.data_docs, results_dir=home.gate_results)
        for outcome in outcomes:
            yield dg.AssetCheckResult(
                passed=outcome.passed,
                asset_key=outcome.table.split("."),
                check_name=outcome.name,
                severity=SEVERITY[outcome.severity],
                description=outcome.summary,
                metadata={"broken_rows": outcome.observed, "sample": dg.MetadataValue.json(outcome.failed_rows)},
            )

    return check


raw_in = gate_checks(GATES["raw_in"], "land__gate")
orders_out = gate_checks(GATES["orders_out"], "replenish__gate")
