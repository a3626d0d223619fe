"""Canonical rows that the platform itself hands over (its ledger's orders and receipts), through
the same archive and manifest."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import CANONICAL, ID, LINEAGE, PERSONAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.load.failpoints import failpoint
from orchestration.landing.load.store import MANIFEST, Archive, Receipt
from orchestration.landing.readers.sourcing import Delivery

#: What the platform may say itself of a row's versions; left out, it follows from the ids, the
#: content and the time of handing over.
OWN = ("known_at", "handed_over_at", "row_key", "row_hash")


def _document(source_id: str, tables: dict[str, pl.DataFrame]) -> bytes:
    """The rows as JSON lines in a fixed order: equal contents, equal bytes."""
    lines = []
    for name in sorted(tables):
        if name not in CANONICAL:
            raise ContractError(f"there is no canonical table `{name}`", where=source_id)
        spec = CANONICAL[name]
        if named := PERSONAL & set(tables[name].columns):
            raise ContractError(
                f"the platform's own `{name}` name no customer, not even as {', '.join(named)}",
                where=source_id,
            )
        extra = [
            column
            for column in tables[name].columns
            if column not in spec.columns and column not in OWN
        ]
        missing = [column for column in spec.required if column not in tables[name].columns]
        if extra or missing:
            raise ContractError(
                f"`{name}` has no column {extra}" if extra else f"`{name}` needs {missing}",
                where=source_id,
            )
        for row in tables[name].iter_rows(named=True):
            known = {key: value for key, value in row.items() if value is not None}
            lines.append(
                json.dumps(
                    {"table": name, **known}, sort_keys=True, default=_plain, allow_nan=False
                )
            )
    return ("\n".join(sorted(lines)) + "\n").encode()


def _plain(value: object) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise ContractError(f"a {type(value).__name__} is no canonical value")


def load_records(
    cur: duckdb.DuckDBPyConnection,
    source_id: str,
    tables: dict[str, pl.DataFrame],
    known_at: datetime,
    store: Archive,
    seq: int,
) -> Delivery | None:
    """Archive and load the rows in one transaction; None where exactly these rows were handed over
    before."""
    raw = _document(source_id, tables)
    sha256 = hashlib.sha256(raw).hexdigest()
    if cur.execute(
        "SELECT 1 FROM raw.manifest WHERE source_id = ? AND delivery = ?", [source_id, sha256]
    ).fetchone():
        return None
    file = store.incoming / sha256
    file.write_bytes(raw)
    receipt = Receipt(
        sha256,
        len(raw),
        source_id,
        "platform",
        f"{source_id}/{sha256[:12]}.jsonl",
        seq,
        "records",
        known_at.isoformat(),
    )
    cur.execute("BEGIN")
    try:
        delivery = _load(cur, receipt, raw.decode())
        failpoint("rows staged")
        store.keep([(file, receipt)])
        failpoint("bytes archived")
        _manifest(cur, receipt, delivery)
        failpoint("before commit")
        cur.execute("COMMIT")
    except BaseException:
        cur.execute("ROLLBACK")
        store.withdraw(cur)
        raise
    store.acknowledge()
    return delivery


def replay_records(cur: duckdb.DuckDBPyConnection, receipt: Receipt, store: Archive) -> Delivery:
    """Load archived records again."""
    cur.execute("BEGIN")
    try:
        delivery = _load(cur, receipt, store.verified(receipt.sha256).read_text(encoding="utf-8"))
        _manifest(cur, receipt, delivery)
        cur.execute("COMMIT")
    except BaseException:
        cur.execute("ROLLBACK")
        raise
    return delivery


def _manifest(cur: duckdb.DuckDBPyConnection, receipt: Receipt, delivery: Delivery) -> None:
    c = delivery.counts
    row = {
        "delivery": receipt.sha256,
        "source_id": receipt.source_id,
        "silo": receipt.silo,
        "path": receipt.path,
        "file": delivery.stem,
        "bytes": receipt.bytes,
        "landed_seq": receipt.seq,
        "skipped": "{}",
        **c,
    }
    names = [name for name in MANIFEST if name in row]
    cur.execute(
        f"INSERT INTO raw.manifest ({', '.join(names)}) VALUES ({', '.join('?' for _ in names)})",
        [row[name] for name in names],
    )


def _load(cur: duckdb.DuckDBPyConnection, receipt: Receipt, text: str) -> Delivery:
    """Insert what is not there yet. A row's key is its ids; without a known_at of its own it keeps
    the earliest time it was seen."""
    delivery = Delivery(
        receipt.sha256, receipt.bytes, receipt.path, receipt.source_id, Path(receipt.path)
    )
    by_table: dict[str, list[tuple[int, str]]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line:
            by_table.setdefault(json.loads(line)["table"], []).append((number, line))
    for table, rows in by_table.items():
        loaded = _insert(cur, receipt, table, rows)
        for name, count in (
            ("rows_in", len(rows)),
            ("rows_claimed", len(rows)),
            ("claims", len(rows)),
            ("rows_loaded", loaded),
        ):
            delivery.counts[name] += count
        delivery.counts["rows_repeated"] += len(rows) - loaded
    return delivery


def _insert(
    cur: duckdb.DuckDBPyConnection, receipt: Receipt, table: str, rows: list[tuple[int, str]]
) -> int:
    spec = CANONICAL[table]
    target = f"raw.{quote(table)}"
    source = literal(receipt.source_id)
    typed = ", ".join(
        (
            f"CAST(json_extract{'_string' if '[' not in kind else ''}(line, "
            f"{literal('$.' + name)}) AS "
            f"{kind}) AS {quote(name)}"
        )
        for name, kind in spec.columns.items()
    )
    ids = [
        quote(name)
        for name, kind in spec.columns.items()
        if kind == ID and (name.endswith("_id") or name in ("id", "alias", "name"))
    ]
    names = ", ".join(quote(name) for name in spec.columns)
    cur.execute("CREATE OR REPLACE TEMP TABLE handed (row_no BIGINT, line VARCHAR)")
    cur.executemany("INSERT INTO handed VALUES (?, ?)", rows)
    cur.execute(
        f"""CREATE OR REPLACE TEMP TABLE fresh AS
        SELECT *, coalesce(own_known_at, CAST(? AS TIMESTAMP)) AS known_at,
          coalesce(own_row_key, hash({literal(receipt.source_id + "/" + table)},
              {", ".join(ids)})) AS row_key,
          coalesce(own_row_hash, hash({source}, {names})) AS row_hash
        FROM (
          SELECT row_no, {typed},
            CAST(json_extract_string(line, '$.known_at') AS TIMESTAMP) AS own_known_at,
            CAST(json_extract_string(line, '$.handed_over_at') AS TIMESTAMP) AS handed_over_at,
            CAST(json_extract_string(line, '$.row_key') AS UBIGINT) AS own_row_key,
            CAST(json_extract_string(line, '$.row_hash') AS UBIGINT) AS own_row_hash
          FROM handed
        )
        QUALIFY row_number() OVER (PARTITION BY row_key, row_hash, own_known_at
            ORDER BY row_no) = 1""",
        [receipt.known_at],
    )
    missing = " OR ".join(f"{quote(name)} IS NULL" for name in spec.required)
    if bad := cur.execute(f"SELECT row_no FROM fresh WHERE {missing} LIMIT 1").fetchone():
        raise ContractError(
            f"`{table}` row {bad[0]} lacks a required value", where=receipt.source_id
        )
    cur.execute(
        f"""DELETE FROM fresh AS s USING {target} t WHERE t.source_id = {source}
            AND t.row_key = s.row_key AND t.row_hash = s.row_hash
        AND (s.own_known_at IS NULL OR s.own_known_at = t.known_at)"""
    )
    lineage = [name for name in LINEAGE if name in (*OWN, "row_no")]
    cur.execute(
        f"""INSERT INTO {target} ({names}, {", ".join(lineage)}, source_id, delivery, part)
        SELECT {names}, {", ".join(lineage)}, {source}, {literal(receipt.sha256)}, {literal(table)}
            FROM fresh"""
    )
    row = cur.execute("SELECT count(*) FROM fresh").fetchone()
    return int(row[0]) if row else 0
