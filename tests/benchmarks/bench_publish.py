"""Publishing and gates, measured: the reader drill, a large snapshot, and every law over millions
of raw rows.

    python tests/benchmarks/bench_publish.py [--readers 16] [--publishes 100] [--rows 2000000]

Prints one line a figure; the drill must show 0 failed and 0 mixed reads.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "publish"), str(ROOT / "tests" / "gates")]

# the drill and the tiny company live beside the tests that use them
from drill import drill  # noqa: E402
from tiny_company import found  # noqa: E402

from orchestration.app.publishing import write_snapshot  # noqa: E402
from orchestration.expectations import GATES, validate  # noqa: E402
from orchestration.reports.dashboard import write_dashboard  # noqa: E402

DAYS = 182


def reader_drill(folder: Path, readers: int, publishes: int) -> None:
    """Readers open, read and close the current snapshot without pause through many publishes."""
    started = time.perf_counter()
    met = drill(folder, readers, publishes, rows=20_000)
    failed, mixed = (
        sum(len(reading.failed) for reading in met),
        sum(reading.mixed for reading in met),
    )
    reads, slowest = sum(reading.reads for reading in met), min(reading.reads for reading in met)
    seconds = time.perf_counter() - started
    print(f"drill: {readers} readers, {publishes} publishes, {seconds:.0f} s")
    print(f"       {reads} reads (at least {slowest} each), {failed} failed, {mixed} mixed")
    if failed or mixed:
        sys.exit(
            "the reader drill failed: "
            + next((error for reading in met for error in reading.failed), "mixed versions")
        )


def grow(warehouse: Path, rows: int) -> None:
    """Sell as many items as it takes to have this many sales rows, and the demand facts that follow
    from them."""
    with duckdb.connect(str(warehouse)) as con:
        con.execute("delete from raw.sales; delete from marts.fct_demand")
        con.execute(
            """insert into raw.sales by name
            select 'item-' || i as item_id, 'shop' as location_id, 2 + (i * 7 + d) % 9 as quantity,
                9.5 as unit_price,
                timestamp '2024-07-01' + to_days(d::int) as event_at,
                    event_at + interval 1 day as known_at, hash(i, d) as row_key,
                'till' as source_id, 'd-sales' as delivery, i * $days + d + 1 as row_no,
                    'sales.csv' as part
            from range($rows // $days) items(i), range($days) days(d)""",
            {"rows": rows, "days": DAYS},
        )
        con.execute(
            "update raw.manifest set rows_loaded = n, rows_claimed = n, claims = n, rows_in = n + "
            "rows_skipped from "
            "(select count(*) as n from raw.sales) where source_id = 'till'"
        )
        con.execute(
            """insert into marts.fct_demand by name
            select item_id, location_id, event_at::date as period_start, quantity,
                quantity as recorded_quantity,
                quantity as sold_quantity, 0.0 as returned_quantity,
                    quantity * unit_price as revenue, false as is_censored,
                known_at as event_at, known_at, 1 as version, true as is_current
            from raw.sales"""
        )


def timed(name: str, rows: int, action: object) -> None:
    started = time.perf_counter()
    action()  # type: ignore[operator]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name}: {rows:,} rows, {time.perf_counter() - started:.1f} s (process peak so far "
        f"{peak:.1f} GiB)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readers", type=int, default=16)
    parser.add_argument("--publishes", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reader_drill(Path(folder), asked.readers, asked.publishes)
    with tempfile.TemporaryDirectory() as folder:
        warehouse, target = found(Path(folder) / "warehouse.duckdb"), Path(folder) / "published"
        timed(
            "all gates on the tiny company (with the import of Great Expectations)",
            546,
            lambda: [validate(warehouse, gate, "run-1") for gate in GATES.values()],
        )
        grow(warehouse, asked.rows)
        for gate in GATES.values():
            timed(
                f"gate {gate.name}, {len(gate.laws)} laws",
                asked.rows,
                lambda gate=gate: validate(warehouse, gate, "run-1"),
            )
        timed(
            "publish", asked.rows, lambda: write_snapshot(warehouse, target, "run-1", "2024-12-30")
        )
        timed(
            "dashboard",
            asked.rows,
            lambda: write_dashboard(
                target / "current" / "stockhouse.duckdb", target / "dashboard.html"
            ),
        )


if __name__ == "__main__":
    main()
