"""Cost against size: processor time, memory and disk of `stockhouse run` on a slice of M5 or on
copies of it: `python tests/benchmarks/bench_growth.py [SERIES …] [--folder DIR]`.

Each size is a world of its own: whole items of M5 in their ten stores, chosen by a hash of their
ids; beyond M5's 3,049 items come copies under other ids, stand-ins for size and not for variety.
Each station is a command (`--until STATION`), so that seconds and peak are a process's own; what
stood before it is looked at and left. Then one more day of sales comes and the whole line runs
once more. The slope is that between the two largest sizes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
M5 = ROOT.parent / "shared" / "data" / "m5"
SIZES = (1_000, 3_000, 10_000, 30_490)
STORES, ITEMS = 10, 3_049
STATIONS = ("land", "features", "forecast", "publish")
NEXT_DAY = "one more day"
SELECTED = """
select * replace ({renamed}) from read_parquet('{path}') where {item} in (
  select item_id from (select distinct item_id from read_parquet('{prices}'))
  order by hash(item_id), item_id limit {items}
)
"""


@dataclass(frozen=True)
class Table:
    """One of M5's files: where it lies, which item a row is of, and the columns whose ids a copy
    writes otherwise ({} is its mark)."""

    path: str
    item: str
    renamed: str

    def rows(self, items: int) -> str:
        """The statement that reads so many items, beyond ITEMS as copies."""
        return " union all ".join(
            SELECTED.format(
                renamed=self.renamed.format(f"'v{copy}'" if copy else "''"),
                path=M5 / self.path,
                item=self.item,
                prices=M5 / "sell_prices.parquet",
                items=min(items - copy * ITEMS, ITEMS),
            )
            for copy in range(-(-items // ITEMS))
        )


SALES = Table("sales_daily_*.parquet", "left(id, -5)", "left(id, -5) || {} || right(id, 5) as id")
PRICES = Table("sell_prices.parquet", "item_id", "item_id || {} as item_id")
MONTHS = Table(
    "monthly_sales/*.parquet",
    "item_id",
    "item_id || {0} as item_id, item_id || {0} || substr(id, length(item_id) + 1) as id",
)


@dataclass(frozen=True)
class Spent:
    """What one command took, with the processes it started, and what the home weighs after it."""

    cpu: float
    seconds: float
    peak_gb: float
    disk_gb: float


def write_world(data: Path, later: Path, series: int) -> int:
    """Write so many series as files under `data`, the last day of sales as `later`; returns the
    rows of sales."""
    (data / "monthly_sales").mkdir(parents=True)
    shutil.copy(M5 / "calendar.csv", data)
    items = -(-series // STORES)
    with duckdb.connect(config={"memory_limit": "4GB", "temp_directory": str(data.parent)}) as con:
        files = {
            data / "sell_prices.parquet": PRICES.rows(items),
            data / "monthly_sales" / "months.parquet": MONTHS.rows(items),
            data / "sales_daily_0.parquet": f"from ({SALES.rows(items)}) where date < $last",
            later: f"from ({SALES.rows(items)}) where date = $last",
        }
        last = con.execute(f"select max(date) from read_parquet('{M5 / SALES.path}')").fetchone()
        for path, rows in files.items():
            dated = {"last": last[0]} if last and "$last" in rows else {}
            con.execute(f"copy ({rows}) to '{path}'", dated)
        counted = con.execute(f"select count(*) from '{data / 'sales_daily_0.parquet'}'").fetchone()
    return int(counted[0]) if counted else 0


def run(data: Path, home: Path, station: str) -> Spent:
    """One command of the product; raises SystemExit with its last words where it fails."""
    command = [
        str(Path(sys.executable).with_name("stockhouse")),
        "run",
        "tests/worlds/m5/world.yml",
    ]
    command += ["--data", str(data), "--home", str(home), "--until", station, "--json"]
    started = time.perf_counter()
    with (home.parent / "said").open("w+", encoding="utf-8") as said:
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(running.pid, 0)
        said.seek(0)
        if status:
            raise SystemExit(f"{station} of {home}: {said.read()[-2_000:]}")
    return Spent(
        usage.ru_utime + usage.ru_stime,
        time.perf_counter() - started,
        usage.ru_maxrss / 1024**2,
        sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) / 1e9,
    )


def measured(folder: Path, series: int) -> dict[str, Spent]:
    """What each station of a new home takes, and one more day after them."""
    data, home, later = folder / "data", folder / "home", folder / "later.parquet"
    rows = write_world(data, later, series)
    print(f"{series:,} series, {rows:,} rows of sales", file=sys.stderr, flush=True)
    spent = {}
    for station in (*STATIONS, NEXT_DAY):
        if station == NEXT_DAY:
            later.rename(data / "sales_daily_1.parquet")
        spent[station] = run(data, home, STATIONS[-1] if station == NEXT_DAY else station)
        print(f"  {station}: {spent[station]}", file=sys.stderr, flush=True)
    return spent


def table(spent: dict[int, dict[str, Spent]]) -> str:
    """Processor seconds and peak memory by size and command, the slope in the last line."""
    columns = [*STATIONS, NEXT_DAY]
    lines = [
        f"| series | {' | '.join(columns)} | disk GB |",
        "|--:|" + "--:|" * (len(columns) + 1),
    ]
    for series, by_station in spent.items():
        cells = [f"{one.cpu:,.0f} s, {one.peak_gb:.1f} GB" for one in by_station.values()]
        disk = by_station[NEXT_DAY].disk_gb
        lines.append(f"| {series:,} | {' | '.join(cells)} | {disk:.2f} |")
    if len(spent) > 1:
        (few, less), (many, more) = list(spent.items())[-2:]
        cells = []
        for name in columns:
            slope = (more[name].cpu - less[name].cpu) / (many - few)
            memory = (more[name].peak_gb - less[name].peak_gb) / (many - few)
            cells.append(f"{slope * 1e3:.1f} ms, {memory * 1e3:.2f} MB")
        disk = (more[NEXT_DAY].disk_gb - less[NEXT_DAY].disk_gb) / (many - few)
        lines.append(f"| a series more | {' | '.join(cells)} | {disk * 1e6:.0f} KB |")
    return "\n".join(lines)


def main(sizes: Sequence[int], folder: Path) -> None:
    spent = {}
    for series in sorted(sizes):
        spent[series] = measured(folder / str(series), series)
        shutil.rmtree(folder / str(series))
    print(table(spent))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("series", nargs="*", type=int, default=SIZES)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        main(asked.series, Path(scratch))
