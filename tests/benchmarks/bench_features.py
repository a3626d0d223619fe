"""Point-in-time joins: ours, hand-written SQL and Feast's stock DuckDB store side by side: `python tests/benchmarks/bench_features.py`.

1M entity rows x 5 views x 600k rows, 15 features, 2 % of the rows known up to 20 days late; every way honours both times. Each way runs
in its own process; prints medians and peak memory as Markdown. Then ten times the entity rows to Parquet, and online serving by HTTP.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Float32, String
from feast.value_type import ValueType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from feature_repo.offline_store import WarehouseOfflineStoreConfig
from feature_repo.sources import WarehouseSource

VIEWS, ITEMS, LOCATIONS, DAYS = 5, 300, 20, 100  # 600,000 rows a view
TIMES = {"timestamp_field": "event_at", "created_timestamp_column": "known_at"}
FEATURES = {view: [f"f{view}_{part}" for part in "abc"] for view in range(VIEWS)}
LABELS = {
    "ours": "ours, through Feast", "expert": "hand-written, step function + ASOF", "textbook": "hand-written, join + arg_max",
    "leaky": "plain ASOF on event time (leaks)", "stock": "Feast's stock DuckDB store",
}  # fmt: skip


def write_data(folder: Path, asked: int) -> None:
    """Five feature tables in a warehouse and as Parquet, and the entity rows."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("SELECT setseed(0.5); CREATE SCHEMA features")
        for view, names in FEATURES.items():
            values = ", ".join(f"random()::FLOAT AS {name}" for name in names)
            con.execute(f"""
                CREATE TABLE features.v{view} AS
                SELECT 'item_' || (k // {LOCATIONS}) AS item_id, 'location_' || (k % {LOCATIONS}) AS location_id, event_at,
                    event_at + CASE WHEN random() < 0.02 THEN to_days(1 + (random() * 20)::INT) ELSE to_days(0) END AS known_at, {values}
                FROM (SELECT k, TIMESTAMP '2025-01-01' + to_days(d::INT) AS event_at
                      FROM range({ITEMS * LOCATIONS}) AS keys (k), range({DAYS}) AS days (d))""")
            con.execute(f"COPY features.v{view} TO '{folder}/v{view}.parquet'")
        con.execute(f"""
            COPY (SELECT 'item_' || (random() * {ITEMS - 1})::INT AS item_id,
                      'location_' || (random() * {LOCATIONS - 1})::INT AS location_id,
                      timezone('UTC', TIMESTAMP '2025-01-01' + to_minutes((random() * {DAYS} * 1440)::INT)) AS event_timestamp
                  FROM range({asked})) TO '{folder}/asked.parquet'""")


def feast_store(folder: Path, stock: bool) -> FeatureStore:
    ours = WarehouseOfflineStoreConfig(path=str(folder / "warehouse.duckdb"), spill=str(folder))
    config = RepoConfig(
        project="bench", provider="local", registry=str(folder / f"registry_{stock}.db"), online_store=None, repo_path=folder,
        offline_store={"type": "duckdb"} if stock else ours,
        coerce_tz_aware=False, entity_key_serialization_version=3,
    )  # fmt: skip
    item, location = (Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING) for name in ("item", "location"))
    keys = [Field(name=key, dtype=String) for key in ("item_id", "location_id")]

    def source(view: int) -> FileSource | WarehouseSource:
        return FileSource(path=str(folder / f"v{view}.parquet"), **TIMES) if stock else WarehouseSource(f"features.v{view}", **TIMES)

    store = FeatureStore(config=config)
    store.apply([
        item, location,
        *(
            FeatureView(
                name=f"v{view}", entities=[item, location], schema=keys + [Field(name=name, dtype=Float32) for name in names],
                source=source(view),
            )
            for view, names in FEATURES.items()
        ),
    ])  # fmt: skip
    return store


REFERENCES = [f"v{view}:{name}" for view, names in FEATURES.items() for name in names]


def through_feast(folder: Path, stock: bool) -> pa.Table:
    asked = pq.read_table(folder / "asked.parquet")
    entity_df: pd.DataFrame | pa.Table = asked.to_pandas() if stock else asked
    return feast_store(folder, stock).get_historical_features(entity_df, REFERENCES, filter_by_created_timestamp=True).to_arrow()


STEP = """(
    SELECT item_id, location_id, greatest(event_at, known_at) AS known_from, {names} FROM features.v{view}
    WINDOW w AS (PARTITION BY item_id, location_id ORDER BY greatest(event_at, known_at), event_at ROWS UNBOUNDED PRECEDING)
    QUALIFY event_at = max(event_at) OVER w AND known_from IS DISTINCT FROM lead(known_from) OVER w)"""


def by_hand(folder: Path, way: str) -> pa.Table:
    """The SQL an expert ('expert'), a textbook ('textbook') or someone in a hurry ('leaky') would write, rows in the order asked."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'; SET asof_loop_join_threshold = 0; SET memory_limit = '6GB'")
        con.register("given", pq.read_table(folder / "asked.parquet"))
        con.execute("CREATE TEMP VIEW asked AS SELECT row_number() OVER () AS n, *, event_timestamp::TIMESTAMP AS t FROM given")
        joins = {
            "expert": "ASOF LEFT JOIN " + STEP + " v{view} ON k AND asked.t >= v{view}.known_from",
            "leaky": "ASOF LEFT JOIN features.v{view} v{view} ON k AND asked.t >= v{view}.event_at",
            "textbook": """LEFT JOIN (
                SELECT n, unnest(arg_max(struct_pack({names}), (event_at, known_at))) FROM asked JOIN features.v{view} AS v
                ON asked.item_id = v.item_id AND asked.location_id = v.location_id AND event_at <= t AND known_at <= t
                GROUP BY n) v{view} USING (n)""",
        }
        key = "asked.item_id = v{view}.item_id AND asked.location_id = v{view}.location_id"
        sql = "\n".join(
            joins[way].replace("ON k", "ON " + key).format(view=view, names=", ".join(names)) for view, names in FEATURES.items()
        )
        names = ", ".join(name for part in FEATURES.values() for name in part)
        query = f"SELECT asked.item_id, asked.location_id, asked.event_timestamp, {names} FROM asked {sql} ORDER BY n"
        return con.execute(query).to_arrow_table()


def to_parquet(folder: Path) -> None:
    job = feast_store(folder, stock=False).get_historical_features(pq.read_table(folder / "asked.parquet"), REFERENCES)
    job.persist(SavedDatasetFileStorage(path=str(folder / "training.parquet")), allow_overwrite=True)


WAYS: dict[str, Callable[[Path], object]] = {
    "ours": lambda folder: through_feast(folder, stock=False),
    "stock": lambda folder: through_feast(folder, stock=True),
    "to_parquet": to_parquet,
} | {way: (lambda folder, way=way: by_hand(folder, way)) for way in ("expert", "textbook", "leaky")}


def measure(folder: Path, way: str, runs: int) -> dict[str, float]:
    """Run one way in this process; median seconds, peak GB over an empty process with the same imports, and a digest of the answer."""
    empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, cpu, digest = [], [], 0
    for _ in range(runs):
        start, spent = time.perf_counter(), time.process_time()
        answer = WAYS[way](folder)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - spent)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - empty) / 2**20
    if isinstance(answer, pa.Table):
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'").register("answer", answer)
            names = [name for part in FEATURES.values() for name in part]
            columns = ", ".join(["item_id", "location_id", "event_timestamp::TIMESTAMP", *names])
            digest = con.execute(f"SELECT sum(hash({columns})) % 1000000007 FROM answer").fetchall()[0][0]
    return {"seconds": statistics.median(seconds), "cpu": statistics.median(cpu), "peak": peak, "digest": int(digest)}


def in_own_process(folder: Path, way: str, runs: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", way, "--folder", str(folder), "--runs", str(runs)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


def joins(folder: Path, rows: int, runs: int, ways: list[str]) -> None:
    """The ways side by side on the same data; the hand-written query is the measure of the others."""
    write_data(folder, rows)
    print(f"{rows:,} entity rows x {VIEWS} views x {ITEMS * LOCATIONS * DAYS:,} rows, {len(REFERENCES)} features, both times honoured\n")
    print("| way | seconds | x hand-written | CPU seconds | x hand-written | peak GB | x hand-written | same answer |")
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    base = in_own_process(folder, "expert", runs)
    for way in ways:
        one = base if way == "expert" else in_own_process(folder, way, 1 if way in ("stock", "textbook") else runs)
        cells = [f"{one[name]:.2f} | {one[name] / base[name]:.2f}" for name in ("seconds", "cpu", "peak")]
        print(f"| {LABELS[way]} | {' | '.join(cells)} | {'yes' if one['digest'] == base['digest'] else 'no'} |", flush=True)
        assert way == "leaky" or one["digest"] == base["digest"], f"{way} disagrees with the hand-written query"


def large(folder: Path, rows: int) -> None:
    """A training set larger than memory should hold, written to Parquet without passing through Python."""
    write_data(folder, rows)
    one = in_own_process(folder, "to_parquet", 1)
    print(f"\n{rows:,} entity rows to Parquet: {one['seconds']:.1f} s ({one['cpu']:.1f} CPU s), peak {one['peak']:.2f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--parts", nargs="+", choices=["joins", "large", "serving"], default=["joins", "large", "serving"])
    parser.add_argument("--child", choices=WAYS)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.folder, options.child, options.runs)))
        return
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts:
            (folder := Path(name) / part).mkdir()
            if part == "joins":
                joins(folder, options.rows, options.runs, options.ways)
            elif part == "large":
                large(folder, 10 * options.rows)


if __name__ == "__main__":
    main()
