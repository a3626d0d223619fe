"""States that come back: a name corrected and then corrected back is known three times, though its
content was seen before.

A keyed state (a master list handed over again and again) collapses equal content to the time it was
first known, except where another content of the same key was known in between. To tell, whatever
was seen of a key is kept here, landed order forgotten.
"""

from __future__ import annotations

import duckdb

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import CANONICAL, LINEAGE

COLUMNS = (
    "source_id, table_name, row_key, row_hash, known_at, handed_over_at, delivery, row_no, part"
)
ORDER = "known_at, coalesce(handed_over_at, TIMESTAMP 'epoch'), row_hash"


def create_state_history(con: duckdb.DuckDBPyConnection) -> None:
    """The history of states, beside raw since it is landing's own memory; rebuilt from the archive
    like raw."""
    con.execute("CREATE SCHEMA IF NOT EXISTS landing")
    named = con.execute(
        "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'landing' AND table_name = 'sightings'"
    ).fetchone()
    if named is not None:  # by the version before
        con.execute("ALTER TABLE landing.sightings RENAME TO state_history")
    con.execute(
        """CREATE TABLE IF NOT EXISTS landing.state_history (source_id VARCHAR, table_name VARCHAR,
            row_key UBIGINT, row_hash UBIGINT,
        known_at TIMESTAMP, handed_over_at TIMESTAMP, delivery VARCHAR, row_no BIGINT,
            part VARCHAR)"""
    )


def note_state_history(
    con: duckdb.DuckDBPyConnection, source_id: str, table: str, part: str
) -> bool:
    """Remember the good rows of `staged`; True where a key of theirs has been seen with more than
    one content."""
    con.execute(
        f"""INSERT INTO landing.state_history ({COLUMNS})
        SELECT {literal(source_id)}, {literal(table)}, row_key, row_hash, known_at, handed_over_at,
            delivery, row_no, {part}
        FROM staged s JOIN batch USING (_d) WHERE problem IS NULL AND NOT EXISTS (
          SELECT 1 FROM landing.state_history t WHERE t.source_id = {literal(source_id)}
              AND t.table_name = {literal(table)}
          AND t.row_key = s.row_key AND t.row_hash = s.row_hash AND t.known_at = s.known_at
          AND t.handed_over_at IS NOT DISTINCT FROM s.handed_over_at)"""
    )
    row = con.execute(
        """SELECT 1 FROM landing.state_history WHERE source_id = ? AND table_name = ?
            AND row_key IN (SELECT row_key FROM staged)
        GROUP BY row_key HAVING min(row_hash) <> max(row_hash) LIMIT 1""",
        [source_id, table],
    ).fetchone()
    return row is not None


def rewrite_state(con: duckdb.DuckDBPyConnection, source_id: str, table: str) -> None:
    """Set the source's rows in a state table to what all its history says, taking contents from
    `staged` and from the table itself.

    Of each key the first of every run of equal contents counts; the first runs of all keys collapse
    by content to the earliest.
    """
    target, mine = f"raw.{quote(table)}", f"source_id = {literal(source_id)}"
    facts = ", ".join(quote(name) for name in CANONICAL[table].columns)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE runs AS
        WITH compared AS (SELECT *, lag(row_hash) OVER (PARTITION BY row_key
            ORDER BY {ORDER}) AS before
          FROM landing.state_history WHERE {mine} AND table_name = {literal(table)}),
        starts AS (SELECT * FROM compared WHERE before IS DISTINCT FROM row_hash)
        SELECT * FROM starts QUALIFY row_number() OVER (
          PARTITION BY row_hash, before IS NULL, CASE WHEN before IS NOT NULL THEN known_at END,
            CASE WHEN before IS NOT NULL THEN handed_over_at END
          ORDER BY {ORDER}, delivery, row_no, part) = 1"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE contents AS SELECT row_hash,
            any_value(COLUMNS(* EXCLUDE row_hash)) FROM (
        SELECT row_hash, {facts} FROM {target} WHERE {mine} UNION ALL SELECT row_hash, {facts}
            FROM staged WHERE problem IS NULL)
        GROUP BY row_hash"""
    )
    con.execute(f"DELETE FROM {target} WHERE {mine}")
    lineage = ", ".join(
        name for name in LINEAGE if name not in ("known_lag", "source_id", "row_hash")
    )
    con.execute(
        f"""INSERT INTO {target} ({facts}, row_hash, {lineage}, source_id)
        SELECT {facts}, row_hash, {lineage}, {literal(source_id)} FROM runs
            JOIN contents USING (row_hash)"""
    )
