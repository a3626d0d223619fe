"""Corrections that say no time of their own: what was landed later counts.

Two versions of one key that are known at the same moment (a corrected price list of a source whose
`known_at` is a constant, a sale corrected in a file that is handed over again) would stand side by
side, and nothing but their content could choose. Where the contract does not say when rows were
handed over (`delivered_at`), the order of landing says it: the first version has no
`handed_over_at`, each later one the moment it is known at and a microsecond for every delivery
before it. The archive keeps that order, so a rebuild comes to the same.
"""

from __future__ import annotations

import duckdb

from orchestration.home.sql import literal, quote, repeated

#: Stands for no time at all, where times are compared.
NEVER = "TIMESTAMP '1970-01-01'"


def order_by_landing(
    con: duckdb.DuckDBPyConnection, source_id: str, table: str, *, is_state: bool
) -> None:
    """Set `handed_over_at` of the good rows of `staged`: that of the version they repeat, or their
    own where they change what was known at the same moment.

    is_state: versions that came before are in landing's history of states, and not in raw alone.
    """
    before, mine = f"raw.{quote(table)}", f"source_id = {literal(source_id)}"
    if is_state:
        before, mine = "landing.state_history", f"{mine} AND table_name = {literal(table)}"
    if not _has_versions_of_one_moment(con, f"{before} WHERE {mine}"):
        return
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE landed AS
        WITH seen AS (
          SELECT row_key, known_at, row_hash, -1 AS d, coalesce(handed_over_at, {NEVER}) AS told
          FROM {before} WHERE {mine}
            AND row_key IN (SELECT row_key FROM staged WHERE problem IS NULL)
          QUALIFY row_number() OVER (PARTITION BY row_key, known_at
            ORDER BY told DESC, row_hash DESC) = 1
          UNION ALL
          SELECT DISTINCT row_key, known_at, row_hash, _d,
            coalesce(known_at, {NEVER}) + to_microseconds(coalesce(seq, _d + 1))
          FROM staged JOIN batch USING (_d) WHERE problem IS NULL),
        changed AS (
          SELECT *, lag(row_hash) OVER version AS before,
            CASE WHEN d < 0 THEN told WHEN lag(row_hash) OVER version IS NULL THEN {NEVER}
              WHEN lag(row_hash) OVER version <> row_hash THEN told END AS starts
          FROM seen WINDOW version AS (PARTITION BY row_key, known_at ORDER BY d, row_hash))
        SELECT row_key, known_at, row_hash, d, last_value(starts IGNORE NULLS) OVER (
          PARTITION BY row_key, known_at ORDER BY d, row_hash) AS told FROM changed"""
    )
    con.execute(
        f"""UPDATE staged SET handed_over_at = told FROM landed
        WHERE told <> {NEVER} AND d = _d AND landed.row_key = staged.row_key
          AND landed.row_hash = staged.row_hash
          AND landed.known_at IS NOT DISTINCT FROM staged.known_at AND problem IS NULL"""
    )
    con.execute("DROP TABLE landed")


def _has_versions_of_one_moment(con: duckdb.DuckDBPyConnection, before: str) -> bool:
    """Whether the order of landing decides anything: most deliveries say a thing once a moment."""
    version = "SELECT row_key, known_at, row_hash, handed_over_at FROM"
    good = "staged WHERE problem IS NULL"
    versions = f"{version} {good}"
    if con.execute(f"SELECT 1 FROM {before} LIMIT 1").fetchone():
        versions += f" UNION ALL {version} {before} AND row_key IN (SELECT row_key FROM {good})"
    elif con.execute(f"{repeated('row_key', good)} LIMIT 1").fetchone() is None:
        return False
    row = con.execute(
        f"""SELECT 1 FROM ({versions}) GROUP BY row_key, known_at
        HAVING min(row_hash) <> max(row_hash) OR max(handed_over_at) IS NOT NULL LIMIT 1"""
    ).fetchone()
    return row is not None
