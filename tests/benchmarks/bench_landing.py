"""The eight public worlds through the front door: `python tests/benchmarks/bench_landing.py [world
...]` prints Markdown tables.

Each world lands in a process of its own into a fresh home, beside plain DuckDB reading the same
files into a table on disk. Seconds are wall time with processor time in brackets (two threads, 3.5
GB); the second landing finds nothing new.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
#: world -> (data folder, what plain DuckDB reads of it; `{}` is the data folder)
WORLDS = {
    "uci": ("uci_online_retail", ["read_csv('{scratch}/by-day/*.csv', all_varchar=true)"]),
    "scms": ("scms", ["read_csv('{}/SCMS_Delivery_History_Dataset.csv', all_varchar=true)"]),
    "rossmann": (
        "rossmann",
        [
            "read_parquet('{}/train_full.parquet')",
            "read_csv('{}/weather/*.csv', all_varchar=true, delim=';')",
        ],
    ),
    "walmart": (
        "walmart_weekly",
        ["read_parquet('{}/train.parquet')", "read_csv('{}/features.csv', all_varchar=true)"],
    ),
    "m5": (
        "m5",
        [
            "read_parquet('{}/sales_daily_*.parquet')",
            "read_parquet('{}/sell_prices.parquet')",
            "read_parquet('{}/monthly_sales/*.parquet')",
        ],
    ),
    "vn2": (
        "vn2_history",
        [
            "read_csv('{}/sales.csv', all_varchar=true)",
            "read_csv('{}/in_stock.csv', all_varchar=true)",
        ],
    ),
    "supplygraph": (
        "supplygraph",
        [
            (
                "read_csv('{}/raw/Homogenoeus/Temporal Data/Unit/*.csv', all_varchar=true, "
                "union_by_name=true)"
            )
        ],
    ),
    "favorita": ("favorita_weekly", ["read_parquet('{}/weekly_sales_long.parquet')"]),
}


def clocked(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """(result, wall seconds, processor seconds)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def land_world(name: str, data: Path, scratch: Path) -> dict[str, Any]:
    """Land one world twice and read the same files plainly; figures as JSON."""
    import duckdb

    from orchestration.landing import World, land

    world = World.load(ROOT / "tests" / "worlds" / name)
    with duckdb.connect(
        str(scratch / "plain.duckdb"), config={"threads": 2, "memory_limit": "3500MB"}
    ) as con:
        shutil.unpack_archive(
            next(data.glob("*.tar.gz")), scratch, filter="data"
        ) if name == "uci" else None
        readers = [reader.format(data, scratch=scratch) for reader in WORLDS[name][1]]

        def plainly() -> None:
            for i, reader in enumerate(readers):
                con.execute(f"CREATE TABLE plain_{i} AS SELECT * FROM {reader}")

        _, plain, plain_cpu = clocked(plainly)
    with duckdb.connect(
        str(scratch / "world.duckdb"), config={"threads": 2, "memory_limit": "3500MB"}
    ) as con:
        report, wall, cpu = clocked(lambda: land(con, world, data, scratch / "archive"))
        again, wall_again, _ = clocked(lambda: land(con, world, data, scratch / "archive"))
    return {
        "sources": report.sources,
        "now_at": str(report.now_at),
        "again": again.new_rows,
        "plain": plain,
        "plain_cpu": plain_cpu,
        "wall": wall,
        "cpu": cpu,
        "wall_again": wall_again,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def measure(name: str) -> dict[str, Any]:
    """The same in a process of its own, so that its memory is its own."""
    with tempfile.TemporaryDirectory(prefix="stockhouse-bench-") as scratch:
        command = [sys.executable, __file__, "--one", name, scratch]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("worlds", nargs="*", default=list(WORLDS))
    chosen = parser.parse_args().worlds
    found = {name: measure(name) for name in chosen}
    print(
        "| world | source | deliveries | rows in | skipped | unclaimed | claims | loaded | "
        "quarantined | repeats |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, figures in found.items():
        for source, c in figures["sources"].items():
            counted = (
                "deliveries",
                "rows_in",
                "rows_skipped",
                "rows_unclaimed",
                "claims",
                "rows_loaded",
                "rows_quarantined",
                "rows_repeated",
            )
            print(
                f"| {name} | {source} | "
                + " | ".join(f"{c[column]:,}" for column in counted)
                + " |"
            )
    print(
        "\n| world | Now (UTC) | landing, s | plain DuckDB, s | ratio of processor time | peak, "
        "MiB | landing again, s | new rows then |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for name, f in found.items():
        times = (
            f"{f['wall']:.1f} ({f['cpu']:.1f}) | {f['plain']:.1f} ({f['plain_cpu']:.1f}) | "
            f"{f['cpu'] / f['plain_cpu']:.1f}"
        )
        print(
            f"| {name} | {f['now_at']} | {times} | {f['peak']:,.0f} | {f['wall_again']:.1f} | "
            f"{f['again']:,} |"
        )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    if sys.argv[1:2] == ["--one"]:
        print(
            json.dumps(land_world(sys.argv[2], SHARED / WORLDS[sys.argv[2]][0], Path(sys.argv[3])))
        )
    else:
        main()
