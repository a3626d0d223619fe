"""Publish: what is decided and what has become of it, as a read-only copy of the truth for everyone
who looks, switched in one step, so that no reader ever sees half of it.

Schema `decisions` holds what is decided now, so that a sum counts every order line once;
`decisions_history` has every run. Studies of scenarios all stand in both. A version is written
aside under another name and never changed afterwards; old ones are removed once `keep` newer exist.
A Parquet copy whose table says what it said in the version before is that version's file under a
second name.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.facts import order_states
from orchestration.facts.published_snapshots import (
    FILE,
    PLANNED,
    QUIET,
    PublishError,
    Snapshot,
    current,
    versions,
)
from orchestration.home import Home, files
from orchestration.home.sql import literal, quote, table_hash

#: What people and BI tools read; staging and raw stay in the warehouse.
SCHEMAS = ("marts", "metrics", "decisions", "ledger", "company")
#: What a snapshot says of its world.
WORLD = {
    "world": "The name of the company in its contract.",
    "currency": "What all money is in, by its ISO 4217 code.",
    "timezone": "The time zone of the business day.",
    "grain": "How long a planning period is: day, week or month.",
    "now_at": "Now: the newest time anything may be known, UTC.",
    "newest_at": "How far the facts themselves reach, UTC.",
}
#: What a snapshot says of itself.
SIGNATURE = {
    "version": "The number of the publication.",
    "run_id": "The run whose plan these tables show.",
    "published_at": "When they were published, UTC.",
}
DECISIONS, HISTORY = "decisions", "decisions_history"
#: Stand whole: a study of scenarios answers a question of its own and renews none before it.
STUDIED = ("scenarios", "scenario_lanes", "scenario_places")
#: Stands with another table's run, for a run may have nothing to say in it: unusual rises are the
#: forecast's.
STANDS_WITH = {"surges": "forecasts"}
#: The file format every DuckDB client from 1.2 on can open; newer defaults would shut out BI
#: drivers.
STORAGE_VERSION = "v1.2.0"


def publish(home: Home, run_id: str, *, is_anew: bool = False) -> Snapshot:
    """Publish the warehouse as it stands, with the ledger's order lines as they stand now.

    The caller is the home's one writer. is_anew: as in write_snapshot. Raises PublishError where
    there is nothing to publish; what readers see is then unchanged.
    """
    if home.warehouse.exists():
        with home.connect() as con:
            order_states.load(con, home)
    return write_snapshot(home.warehouse, home.published, run_id, is_anew=is_anew)


def write_snapshot(
    warehouse: Path,
    target: Path,
    run_id: str,
    published_at: datetime | str | None = None,
    *,
    keep: int = 5,
    schemas: tuple[str, ...] = SCHEMAS,
    is_anew: bool = False,
) -> Snapshot:
    """Write the next version from the warehouse and make it current; readers of older versions are
    not disturbed.

    warehouse: a DuckDB file that nobody writes to meanwhile (and this process holds no handle on).
    target: the folder of versions.
    run_id: the run that publishes; where it planned nothing itself, the snapshot shows and names
    the newest run that did.
    published_at: UTC, by default this moment. keep: how many versions stay. is_anew: nothing of the
    version before is used again, so that what was damaged there is mended. Raises PublishError if
    the warehouse has none of the schemas, or keep < 1.
    """
    if keep < 1:
        raise PublishError(f"keep = {keep}: at least the current version must be kept.")
    published_at = published_at or datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    moment = published_at if isinstance(published_at, str) else published_at.isoformat(sep=" ")
    (target / "versions").mkdir(parents=True, exist_ok=True)
    with (target / "publish.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one publisher at a time; readers take no lock
        version = max(versions(target), default=0) + 1
        folder = target / "versions" / f"{version:06d}"
        files.sweep(folder.parent)
        is_first = is_anew or not (target / "current").is_symlink()
        before = None if is_first else current(target)
        with files.replacing(folder) as aside:
            aside.mkdir()
            run_id, tables, fingerprints = _write(
                warehouse, aside, version, run_id, moment, schemas, before
            )
            snapshot = Snapshot(version, run_id, moment, folder, tables, fingerprints)
            (aside / "snapshot.json").write_text(_description(snapshot), encoding="utf-8")
            _seal(aside)
        _switch(target, snapshot)
        for old in sorted(versions(target))[:-keep]:
            shutil.rmtree(target / "versions" / f"{old:06d}")
    return snapshot


def _write(
    warehouse: Path,
    aside: Path,
    version: int,
    run_id: str,
    moment: str,
    schemas: tuple[str, ...],
    before: Snapshot | None,
) -> tuple[str, dict[str, int], dict[str, str]]:
    """Copy the schemas with their comments into a new file and to Parquet; returns the run shown,
    and each table's rows and fingerprint."""
    if not warehouse.exists():
        raise PublishError(f"There is no warehouse at {warehouse}. Run the line first.")
    source = quote(warehouse.stem)  # dbt's views name the database by its file
    with duckdb.connect() as con:
        con.execute(QUIET)
        con.execute(f"attach {literal(str(warehouse))} as {source} (read_only)")
        con.execute(
            f"attach {literal(str(aside / FILE))} as snapshot (storage_version '{STORAGE_VERSION}')"
        )
        listed = _listed(con, warehouse.stem, schemas)
        planned = [table for schema, table in listed if schema == DECISIONS and table in PLANNED]
        shown = _planned_by(con, source, planned, run_id)
        rows: dict[str, int] = {}
        fingerprints: dict[str, str] = {}
        for schema, table, content in _contents(con, source, listed, shown):
            name, label = f"{quote(schema)}.{quote(table)}", f"{schema}.{table}"
            con.execute(f"create schema if not exists snapshot.{quote(schema)}")
            con.execute(
                f"create table snapshot.{name} as {content}",
                {"run": shown} if "$run" in content else None,
            )
            rows[label], fingerprints[label] = _fingerprint(con, name)
            _copy_parquet(
                con,
                aside,
                schema,
                table,
                before
                if before and before.fingerprints.get(label) == fingerprints[label]
                else None,
            )
        if not rows:
            raise PublishError(
                f"{warehouse} has nothing to publish in {', '.join(schemas)}. Run the line up to "
                "replenish first."
            )
        _copy_comments(con, warehouse.stem, schemas)
        _sign(con, source, warehouse.stem, version=version, run_id=shown, moment=moment)
    return shown, rows, fingerprints


def _planned_by(
    con: duckdb.DuckDBPyConnection, source: str, planned: list[str], run_id: str
) -> str:
    """The run whose plan is current: the given one if it planned, else the newest that did; the
    given one where none ever did."""
    runs = " union all ".join(
        f"select run_id, as_of, rowid as place from {source}.{DECISIONS}.{quote(table)}"
        for table in planned
    )
    if not runs:
        return run_id
    newest = con.execute(
        f"select run_id from ({runs}) group by run_id order by run_id = ? desc, max(as_of) desc, "
        "max(place) desc limit 1",
        [run_id],
    ).fetchone()
    return str(newest[0]) if newest else run_id


def _contents(
    con: duckdb.DuckDBPyConnection, source: str, listed: list[tuple[str, str]], shown: str
) -> Iterator[tuple[str, str, str]]:
    """(schema, table, query) of every table of the snapshot: decisions as they stand, with every
    run's beside in its history."""
    for schema, table in listed:
        whole = f"from {source}.{quote(schema)}.{quote(table)}"
        columns = {row[0] for row in con.execute(f"describe {whole}").fetchall()}
        if schema != DECISIONS or not {"run_id", "as_of"} <= columns:
            yield schema, table, whole
            continue
        if table in STUDIED:
            yield schema, table, whole
            yield HISTORY, table, whole
            continue
        its = quote(STANDS_WITH.get(table, table))
        runs = f"select run_id from {source}.{quote(schema)}.{its}"
        standing = f"({runs} order by run_id = $run desc, as_of desc, run_id desc limit 1)"
        yield schema, table, f"{whole} where run_id = {'$run' if table in PLANNED else standing}"
        yield HISTORY, table, whole


def _copy_parquet(
    con: duckdb.DuckDBPyConnection, aside: Path, schema: str, table: str, same: Snapshot | None
) -> None:
    """Write a table of the snapshot as Parquet too; where the version before says the same, its
    file gets a second name."""
    file = Path("parquet") / schema / f"{table}.parquet"
    (aside / file).parent.mkdir(parents=True, exist_ok=True)
    if same and (same.folder / file).exists():
        _same_file(same.folder / file, aside / file)
    else:
        name = f"snapshot.{quote(schema)}.{quote(table)}"
        con.execute(
            f"copy {name} to {literal(str(aside / file))} (format parquet, compression zstd)"
        )


def _sign(
    con: duckdb.DuckDBPyConnection,
    source: str,
    database: str,
    *,
    version: int,
    run_id: str,
    moment: str,
) -> None:
    """Say in the snapshot itself which run and company it shows, and since when."""
    con.execute("create schema snapshot.published")
    con.execute(
        """create table snapshot.published.snapshot as
        select $version::integer as version, $run_id::varchar as run_id,
            $moment::timestamp as published_at""",
        {"version": version, "run_id": run_id, "moment": moment},
    )
    words = "Whose plan these tables show, and when they were published."
    _comment(con, "published", "snapshot", None, words)
    for column, said in SIGNATURE.items():
        _comment(con, "published", "snapshot", column, said)
    if _listed(con, database, ("raw",)):
        con.execute(
            f"create table snapshot.published.world as select columns(name -> name in {(*WORLD,)}) "
            f"from {source}.raw.world"
        )
        words = "The company, its currency, its calendar, and how far the data reach."
        _comment(con, "published", "world", None, words)
        for column, *_ in con.execute("describe snapshot.published.world").fetchall():
            _comment(con, "published", "world", column, WORLD[column])


def _fingerprint(con: duckdb.DuckDBPyConnection, name: str) -> tuple[int, str]:
    """How many rows a table of the snapshot has, and a number that says what is in it: its columns
    and its rows in any order."""
    columns = con.execute(f"describe snapshot.{name}").fetchall()
    rows, total = table_hash(con, f"snapshot.{name}")
    content = repr((duckdb.__version__, [column[:2] for column in columns], rows, total))
    return rows, hashlib.sha256(content.encode()).hexdigest()


def _same_file(old: Path, new: Path) -> None:
    """Give an unchanged, read-only file a second name, or a copy where the file system has no
    second names."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)


def _listed(
    con: duckdb.DuckDBPyConnection, database: str, schemas: tuple[str, ...]
) -> list[tuple[str, str]]:
    return con.execute(
        "select table_schema, table_name from information_schema.tables where table_catalog = ? "
        "and table_schema in ? order by all",
        [database, list(schemas)],
    ).fetchall()


def _copy_comments(con: duckdb.DuckDBPyConnection, database: str, schemas: tuple[str, ...]) -> None:
    """Carry over what tables and columns mean: BI tools show it beside the data."""
    said = con.execute(
        """
        with said (base, schema, name, part, words) as (
            select database_name, schema_name, table_name, null, comment from duckdb_tables()
            union all select database_name, schema_name, view_name, null, comment
            from duckdb_views()
            union all select database_name, schema_name, table_name, column_name, comment
            from duckdb_columns()
        )
        select schema, name, part, words from said
        where base = $database and words is not null and list_contains($schemas, schema)
        """,
        {"database": database, "schemas": list(schemas)},
    ).fetchall()
    there = {
        (schema, table)
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'snapshot'"
        ).fetchall()
    }
    for schema, table, column, words in said:
        for shown in {schema, HISTORY} if schema == DECISIONS else {schema}:
            if (shown, table) in there:
                _comment(con, shown, table, column, words)


def _comment(
    con: duckdb.DuckDBPyConnection, schema: str, table: str, column: str | None, words: str
) -> None:
    """Say in the snapshot what a table is, or one of its columns."""
    name = f"snapshot.{quote(schema)}.{quote(table)}"
    what = f"column {name}.{quote(column)}" if column else f"table {name}"
    con.execute(f"comment on {what} is {literal(words)}")


def _description(snapshot: Snapshot) -> str:
    content = {name: value for name, value in asdict(snapshot).items() if name != "folder"}
    return json.dumps(content | {"folder": f"versions/{snapshot.folder.name}"}, indent=1)


def _seal(folder: Path) -> None:
    """Make every file read-only before anyone is pointed at it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o444)


def _switch(target: Path, snapshot: Snapshot) -> None:
    """Point `current` at the new version: each pointer is replaced by one rename, so a reader sees
    the old or the new."""
    with files.replacing(target / "current") as link:
        link.symlink_to(Path("versions") / snapshot.folder.name)
    files.write(target / "current.json", _description(snapshot))
