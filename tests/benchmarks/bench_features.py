"""Point-in-time joins: ours, hand-written SQL and Feast's stock DuckDB store side by side: `python
tests/benchmarks/bench_features.py`.

1M entity rows x 5 views x 600k rows, 15 features, 2 % of the rows known up to 20 days late; every
way honours both times. Each way runs in its own process; prints medians and peak memory as
Markdown. Then ten times the entity rows to Parquet, and online serving by HTTP.
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
from datetime import datetime
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import uvicorn
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.types import Float32, String
from feast.value_type import ValueType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from feature_repo.offline_store import WarehouseOfflineStoreConfig
from feature_repo.online import materialize_online
from feature_repo.served_files import TYPE
from feature_repo.sources import WarehouseSource
from orchestration.serving.serving import feature_server

VIEWS, ITEMS, LOCATIONS, DAYS = 5, 300, 20, 100  # 600,000 rows a view
TIMES = {"timestamp_field": "event_at", "created_timestamp_column": "known_at"}
FEATURES = {view: [f"f{view}_{part}" for part in "abc"] for view in range(VIEWS)}
LABELS = {
    "ours": "ours, through Feast",
    "expert": "hand-written, step function + ASOF",
    "textbook": "hand-written, join + arg_max",
    "leaky": "plain ASOF on event time (leaks)",
    "stock": "Feast's stock DuckDB store",
}


def write_data(folder: Path, asked: int) -> None:
    """Five feature tables in a warehouse and as Parquet, and the entity rows."""
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        con.execute("SELECT setseed(0.5); CREATE SCHEMA features")
        for view, names in FEATURES.items():
            values = ", ".join(f"random()::FLOAT AS {name}" for name in names)
            con.execute(f"""
                CREATE TABLE features.v{view} AS
                SELECT 'item_' || (k // {LOCATIONS}) AS item_id,
                    'location_' || (k % {LOCATIONS}) AS location_id, event_at,
                    event_at + CASE WHEN random() < 0.02 THEN to_days(1 + (random() * 20)::INT)
                        ELSE to_days(0) END AS known_at, {values}
                FROM (SELECT k, TIMESTAMP '2025-01-01' + to_days(d::INT) AS event_at
                      FROM range({ITEMS * LOCATIONS}) AS keys (k), range({DAYS}) AS days (d))""")
            con.execute(f"COPY features.v{view} TO '{folder}/v{view}.parquet'")
        con.execute(f"""
            COPY (SELECT 'item_' || (random() * {ITEMS - 1})::INT AS item_id,
                      'location_' || (random() * {LOCATIONS - 1})::INT AS location_id,
                      timezone('UTC', TIMESTAMP '2025-01-01' + to_minutes((random() * {DAYS} *
                          1440)::INT)) AS event_timestamp
                  FROM range({asked})) TO '{folder}/asked.parquet'""")


def feast_store(folder: Path, stock: bool, online: dict[str, str] | None = None) -> FeatureStore:
    ours = WarehouseOfflineStoreConfig(path=str(folder / "warehouse.duckdb"), spill=str(folder))
    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / f"registry_{stock}.db"),
        online_store=online,
        repo_path=folder,
        offline_store={"type": "duckdb"} if stock else ours,
        coerce_tz_aware=False,
        entity_key_serialization_version=3,
    )
    item, location = (
        Entity(name=name, join_keys=[f"{name}_id"], value_type=ValueType.STRING)
        for name in ("item", "location")
    )
    keys = [Field(name=key, dtype=String) for key in ("item_id", "location_id")]

    def source(view: int) -> FileSource | WarehouseSource:
        return (
            FileSource(path=str(folder / f"v{view}.parquet"), **TIMES)
            if stock
            else WarehouseSource(f"features.v{view}", **TIMES)
        )

    store = FeatureStore(config=config)
    store.apply(
        [
            item,
            location,
            *(
                FeatureView(
                    name=f"v{view}",
                    entities=[item, location],
                    schema=keys + [Field(name=name, dtype=Float32) for name in names],
                    source=source(view),
                )
                for view, names in FEATURES.items()
            ),
        ]
    )
    return store


REFERENCES = [f"v{view}:{name}" for view, names in FEATURES.items() for name in names]


def through_feast(folder: Path, stock: bool) -> pa.Table:
    asked = pq.read_table(folder / "asked.parquet")
    entity_df: pd.DataFrame | pa.Table = asked.to_pandas() if stock else asked
    return (
        feast_store(folder, stock)
        .get_historical_features(entity_df, REFERENCES, filter_by_created_timestamp=True)
        .to_arrow()
    )


STEP = """(
    SELECT item_id, location_id, greatest(event_at, known_at) AS known_from, {names}
        FROM features.v{view}
    WINDOW w AS (PARTITION BY item_id, location_id ORDER BY greatest(event_at, known_at),
        event_at ROWS UNBOUNDED PRECEDING)
    QUALIFY event_at = max(event_at) OVER w AND known_from IS DISTINCT
        FROM lead(known_from) OVER w)"""


def by_hand(folder: Path, way: str) -> pa.Table:
    """The SQL an expert ('expert'), a textbook ('textbook') or someone in a hurry ('leaky') would
    write, rows in the order asked."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as con:
        con.execute(
            "SET TimeZone = 'UTC'; SET asof_loop_join_threshold = 0; SET memory_limit = '6GB'"
        )
        con.register("given", pq.read_table(folder / "asked.parquet"))
        con.execute(
            "CREATE TEMP VIEW asked AS SELECT row_number() OVER () AS n, *, "
            "event_timestamp::TIMESTAMP AS t FROM given"
        )
        joins = {
            "expert": "ASOF LEFT JOIN " + STEP + " v{view} ON k AND asked.t >= v{view}.known_from",
            "leaky": "ASOF LEFT JOIN features.v{view} v{view} ON k AND asked.t >= v{view}.event_at",
            "textbook": """LEFT JOIN (
                SELECT n, unnest(arg_max(struct_pack({names}), (event_at, known_at))) FROM asked
                    JOIN features.v{view} AS v
                ON asked.item_id = v.item_id AND asked.location_id = v.location_id
                    AND event_at <= t AND known_at <= t
                GROUP BY n) v{view} USING (n)""",
        }
        key = "asked.item_id = v{view}.item_id AND asked.location_id = v{view}.location_id"
        sql = "\n".join(
            joins[way].replace("ON k", "ON " + key).format(view=view, names=", ".join(names))
            for view, names in FEATURES.items()
        )
        names = ", ".join(name for part in FEATURES.values() for name in part)
        query = (
            f"SELECT asked.item_id, asked.location_id, asked.event_timestamp, {names} FROM asked "
            f"{sql} ORDER BY n"
        )
        return con.execute(query).to_arrow_table()


def to_parquet(folder: Path) -> None:
    job = feast_store(folder, stock=False).get_historical_features(
        pq.read_table(folder / "asked.parquet"), REFERENCES
    )
    job.persist(
        SavedDatasetFileStorage(path=str(folder / "training.parquet")), allow_overwrite=True
    )


WAYS: dict[str, Callable[[Path], object]] = {
    "ours": lambda folder: through_feast(folder, stock=False),
    "stock": lambda folder: through_feast(folder, stock=True),
    "to_parquet": to_parquet,
} | {way: (lambda folder, way=way: by_hand(folder, way)) for way in ("expert", "textbook", "leaky")}


def measure(folder: Path, way: str, runs: int) -> dict[str, float]:
    """Run one way in this process; median seconds, peak GB over an empty process with the same
    imports, and a digest of the answer."""
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
            digest = con.execute(
                f"SELECT sum(hash({columns})) % 1000000007 FROM answer"
            ).fetchall()[0][0]
    return {
        "seconds": statistics.median(seconds),
        "cpu": statistics.median(cpu),
        "peak": peak,
        "digest": int(digest),
    }


def in_own_process(
    folder: Path, way: str, runs: int, patience: float | None = None
) -> dict[str, float] | None:
    """What `measure` says of a way in a process of its own; None where it needs longer than
    `patience` seconds."""
    command = [
        sys.executable,
        __file__,
        "--child",
        way,
        "--folder",
        str(folder),
        "--runs",
        str(runs),
    ]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def joins(folder: Path, rows: int, runs: int, ways: list[str], patience: float) -> None:
    """The ways side by side on the same data; the hand-written query is the measure of the others,
    `patience` their limit in seconds."""
    write_data(folder, rows)
    print(
        f"\n### {rows:,} entity rows x {VIEWS} views x {ITEMS * LOCATIONS * DAYS:,} rows, "
        f"{len(REFERENCES)} features, both times kept\n"
    )
    print(
        "| way | seconds | x hand-written | CPU seconds | x hand-written | peak GB | x "
        "hand-written | same answer |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|---|")
    base = in_own_process(folder, "expert", runs)
    assert base
    for way in ways:
        one = (
            base
            if way == "expert"
            else in_own_process(folder, way, 1 if way in ("stock", "textbook") else runs, patience)
        )
        if one is None:
            print(
                f"| {LABELS[way]} | stopped after {patience:.0f} | > "
                f"{patience / base['seconds']:.0f} | | | | | |",
                flush=True,
            )
            continue
        cells = [
            f"{one[name]:.2f} | {one[name] / base[name]:.2f}" for name in ("seconds", "cpu", "peak")
        ]
        print(
            f"| {LABELS[way]} | {' | '.join(cells)} | "
            f"{'yes' if one['digest'] == base['digest'] else 'no'} |",
            flush=True,
        )
        assert way == "leaky" or one["digest"] == base["digest"], (
            f"{way} disagrees with the hand-written query"
        )


def large(folder: Path, rows: int) -> None:
    """A training set larger than memory should hold, written to Parquet without passing through
    Python."""
    write_data(folder, rows)
    one = in_own_process(folder, "to_parquet", 1)
    assert one
    print(f"\n### {rows:,} entity rows to Parquet\n")
    print(f"{one['seconds']:.1f} s ({one['cpu']:.1f} CPU s), peak {one['peak']:.2f} GB", flush=True)


def serving(folder: Path, requests: dict[int, int]) -> None:
    """Reading all features of so many keys by HTTP: our server and `feast serve` as it comes, over
    the same files."""
    write_data(folder, 1)
    store = feast_store(folder, stock=False, online={"type": TYPE, "path": str(folder / "served")})
    materialize_online(store, datetime(2025, 5, 1))
    keys = {
        "item_id": [f"item_{k % ITEMS}" for k in range(1000)],
        "location_id": [f"location_{k % LOCATIONS}" for k in range(1000)],
    }
    print(
        f"\n### {len(REFERENCES)} features of {VIEWS} views by HTTP, milliseconds\n\n| server | "
        "keys | p50 | p99 |\n|---|--:|--:|--:|"
    )
    ports = {"ours": 6571, "feast": 6572}
    children = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--serve",
                server,
                "--folder",
                str(folder),
                "--port",
                str(port),
            ]
        )
        for server, port in ports.items()
    ]
    try:
        clients = {
            server: httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
            for server, port in ports.items()
        }
        for client in clients.values():
            _await(client)
        for count, times in requests.items():
            asked = {
                "features": REFERENCES,
                "entities": {name: values[:count] for name, values in keys.items()},
            }
            took = {server: list[float]() for server in ports}
            for _ in range(times + 3):  # by turns, so that what else the machine does befalls both
                for server, client in clients.items():
                    took[server].append(_milliseconds(client, asked))
            for server, all_of_it in took.items():
                steady = all_of_it[3:]  # the first three warm it up
                print(
                    f"| {server} | {count:,} | {statistics.median(steady):.1f} | "
                    f"{np.quantile(steady, 0.99):.1f} |",
                    flush=True,
                )
    finally:
        for child in children:
            child.terminate()
            child.wait()


def _await(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the server did not start")


def _milliseconds(client: httpx.Client, asked: dict[str, object]) -> float:
    start = time.perf_counter()
    answer = client.post("/get-online-features", json=asked)
    answer.raise_for_status()
    return (time.perf_counter() - start) * 1000


def serve(folder: Path, server: str, port: int) -> None:
    store = feast_store(folder, stock=False, online={"type": TYPE, "path": str(folder / "served")})
    if server == "ours":
        uvicorn.run(feature_server(store), port=port, log_level="warning")
    else:
        store.serve(host="127.0.0.1", port=port, no_access_log=True, workers=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--patience", type=float, default=600, help="seconds after which a way is stopped"
    )
    parser.add_argument("--ways", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=["joins", "large", "serving"],
        default=["joins", "large", "serving"],
    )
    parser.add_argument("--child", choices=WAYS)
    parser.add_argument("--serve", choices=["ours", "feast"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.serve:
        serve(options.folder, options.serve, options.port)
        return
    if options.child:
        print(json.dumps(measure(options.folder, options.child, options.runs)))
        return
    with tempfile.TemporaryDirectory() as name:
        for part in options.parts:
            (folder := Path(name) / part).mkdir()
            if part == "joins":
                for rows in (options.rows // 10, options.rows):
                    (sized := folder / str(rows)).mkdir()
                    joins(sized, rows, options.runs, options.ways, options.patience)
            elif part == "large":
                large(folder, 10 * options.rows)
            else:
                serving(folder, {1: 200, 100: 50, 1000: 20})


if __name__ == "__main__":
    main()
