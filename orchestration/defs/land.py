"""land: the company's extracts become canonical raw rows, each with both times and the way back to its bytes."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.landing import land as land_world
from orchestration.landing import land_records
from orchestration.landing.canonical import CANONICAL
from orchestration.ledger import Ledger

SILOS = {
    "erp": "Invoices, master data, purchase orders, receipts: what the ERP exports.",
    "logistics": "Shipments, lanes and freight bills.",
    "spreadsheets": "What people keep in workbooks: terms, constraints, counts.",
    "signals": "Weather, prices, search interest and the economy, by region.",
}

silos = [dg.AssetSpec(["silos", name], group_name="land", description=text, owners=OWNERS, kinds={"file"}) for name, text in SILOS.items()]


@dg.multi_asset(
    name="land",
    specs=[
        dg.AssetSpec(
            ["raw", table],
            group_name="land",
            deps=[spec.key for spec in silos],
            description=f"Every version of every {table.replace('_', ' ')} row that any source handed over.",
            owners=OWNERS,
            kinds={"duckdb"},
        )
        for table in (*CANONICAL, "world", "manifest", "quarantine")
    ],
)
def land(context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """One transaction a delivery; the same bytes twice change nothing; a bad row goes to quarantine with its reason."""
    home, world = lakehouse.open_home(), lakehouse.open_world()
    with home.connect() as con:
        report = land_world(
            con, world, lakehouse.data_root, home.archive, as_of=lakehouse.cutoff, inbox=home.inbox, progress=context.log.info
        )
        documents = Ledger.open(home.ledger_url).canonical_rows()
        land_records(con, world, "ledger", documents, known_at=report.now_at)
        context.add_output_metadata  # noqa: B018
        for table in (*CANONICAL, "world", "manifest", "quarantine"):
            rows = con.execute(f'select count(*) from raw."{table}"').fetchone()
            yield dg.MaterializeResult(asset_key=["raw", table], metadata={"dagster/row_count": rows[0] if rows else 0})
