"""Dates that two declared formats read as two days (01/02/2025)."""

from __future__ import annotations

from orchestration.landing.contract.locales import by_format
from orchestration.landing.load.rule_sql import Cell
from orchestration.landing.readers.sourcing import SourceRows


def find_two_days(rows: SourceRows, table: str, name: str, cell: Cell) -> None:
    """Doubt each delivery whose texts in one column are different days by different formats of
    `dates`; the first format that fits is believed."""
    days = ", ".join(
        f"CAST({by_format(cell.sql, form)} AS TIMESTAMP)" for form in rows.source.dates
    )
    found = rows.con.execute(
        f"""SELECT _d, count(*), arg_min(text, _row), string_agg(CAST(_row AS VARCHAR), ', '
            ORDER BY _row) FILTER (WHERE place <= 5)
        FROM (SELECT _d, _row, CAST({cell.sql} AS VARCHAR) AS text,
            row_number() OVER (PARTITION BY _d ORDER BY _row) AS place FROM src
        WHERE len(list_distinct([{days}])) > 1) GROUP BY _d"""
    ).fetchall()
    for index, count, text, places in found:
        delivery = rows.deliveries[index]
        delivery.doubts.append(
            f"{count:,} rows of {table}.{name} are different days by different formats of `dates`, "
            f"such as `{text}` ({delivery.path} rows {places}; the first format that fits is "
            "believed: keep the one that is meant)"
        )
