"""The gates in the graph: one asset check an expectation; a broken error stops everything
downstream, a warning is only shown."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import Lakehouse
from orchestration.expectations import GATES, Gate, validate
from orchestration.expectations.dagster_checks import check_results, check_specs


def gate_checks(gate: Gate, step: str) -> dg.AssetChecksDefinition:
    """All expectations of one gate as one step."""

    @dg.multi_asset_check(name=step, specs=check_specs(gate))
    def check(
        context: dg.AssetCheckExecutionContext, lakehouse: Lakehouse
    ) -> Iterator[dg.AssetCheckResult]:
        home = lakehouse.open_home()
        yield from check_results(
            validate(
                home.warehouse,
                gate,
                context.run.run_id,
                data_docs_dir=home.data_docs,
                results_dir=home.gate_results,
            )
        )

    return check


raw_in = gate_checks(GATES["raw_in"], "land__gate")
orders_out = gate_checks(GATES["orders_out"], "replenish__gate")
