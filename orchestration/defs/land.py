"""land: the company's extracts become canonical raw rows, each with both times and the way back to
its bytes."""

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import duckdb

from orchestration.defs.resources import OWNERS, Lakehouse
from orchestration.home import Home
from orchestration.intake import forget_landed
from orchestration.landing import World, land_records, reland
from orchestration.landing import land as land_world
from orchestration.landing.contract.canonical import CANONICAL
from orchestration.landing.load.own_rows import OWN
from orchestration.ledger import Ledger

SILOS = {
    "erp": "Invoices, master data, purchase orders, receipts: what the ERP exports.",
    "logistics": "Shipments, lanes and freight bills.",
    "spreadsheets": "What people keep in workbooks: terms, constraints, counts.",
    "signals": "Weather, prices, search interest and the economy, by region.",
}

silos = [
    dg.AssetSpec(
        ["silos", name], group_name="land", description=text, owners=OWNERS, kinds={"file"}
    )
    for name, text in SILOS.items()
]


TABLES = (*CANONICAL, "world", "manifest", "quarantine")


@dg.multi_asset(
    name="land",
    specs=[
        dg.AssetSpec(
            ["raw", table],
            group_name="land",
            deps=[spec.key for spec in silos],
            description=(
                f"Every version of every {table.replace('_', ' ')} row that any source handed over."
            ),
            owners=OWNERS,
            kinds={"duckdb"},
        )
        for table in TABLES
    ],
)
def land(context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> Iterator[dg.MaterializeResult]:
    """One transaction a delivery; the same bytes twice change nothing; a bad row goes to quarantine
    with its reason."""
    home, world = lakehouse.open_home(), lakehouse.open_world()
    with home.connect() as con:
        if lakehouse.from_archive:
            report = reland(
                con, world, home.archive, as_of=lakehouse.cutoff, progress=context.log.info
            )
        else:
            report = land_world(
                con,
                world,
                lakehouse.data_root,
                home.archive,
                as_of=lakehouse.cutoff,
                inbox=home.inbox,
                progress=context.log.info,
                strict=lakehouse.strict,
            )
            forget_landed(con, world, home.inbox)  # the archive has their bytes
            land_ledger(con, home, world, report.now_at)
        for table in TABLES:
            rows = con.execute(f'select count(*) from raw."{table}"').fetchone()
            figures = {"dagster/row_count": rows[0] if rows else 0}
            if table == "manifest":
                figures |= {
                    name: getattr(report, name)
                    for name in (
                        "new_deliveries",
                        "new_rows",
                        "quarantined_rows",
                        "passed_over",
                        "set_aside",
                        "doubts",
                        "read_anew",
                    )
                }
            yield dg.MaterializeResult(asset_key=["raw", table], metadata=figures)


def land_ledger(
    con: duckdb.DuckDBPyConnection, home: Home, world: World, now: datetime | None
) -> None:
    """What procurement knows comes in like every other source: as rows with both times, through the
    same door."""
    believed = con.execute("select newest_at from raw.world").fetchone()
    newest = believed[0] if believed else None
    ledger = Ledger.of(home)
    try:
        documents = {
            table: frame.select(
                *(name for name in (*CANONICAL[table].columns, *OWN) if name in frame.columns)
            )
            for table, frame in ledger.canonical_rows(world.timezone, newest).items()
        }
    finally:
        ledger.close()
    if now is not None:
        land_records(con, world, "ledger", documents, known_at=now, archive=home.archive)
