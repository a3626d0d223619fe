"""Trace: from an order line back to the lines in the files that caused it.

    order line -> decision -> forecast and model -> feature rows -> mart rows -> raw rows -> file,
    sheet, line

Everything is read as it was known when the line was decided: known_at <= as_of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.errors import StockhouseError
from orchestration.home.sql import records
from orchestration.landing.contract.canonical import CANONICAL

Row = dict[str, Any]

#: How many rows of each table are shown; every step also says how many there are.
SHOWN = 5
#: Said once at the top, or hashes that tell a person nothing; the JSON has them all.
UNPRINTED = {
    "run_id",
    "as_of",
    "order_line_id",
    "intent_key",
    "row_key",
    "row_hash",
    "handed_over_at",
    "row_no",
}


#: Raw rows that name no item and yet bear on an order: what the supplier's money is worth, limits
#: and minimums, and days on which nothing leaves or arrives.
AROUND = {
    "exchange_rates": (
        "currency in (select currency from raw.supplier_terms where list_contains($items, item_id) "
        "and list_contains($suppliers, supplier_id))",
        "event_at",
    ),
    "constraints": (
        "scope is null or list_contains($suppliers, scope) or list_contains($places, scope) or "
        "scope in (select levels[1] from raw.items where list_contains($items, item_id))",
        "known_at",
    ),
    "holidays": (
        "(list_contains($suppliers, supplier_id) or list_contains($places, location_id) or "
        "region_id in (select region_id from raw.suppliers where list_contains($suppliers, "
        "supplier_id) union select region_id from raw.locations where list_contains($places, "
        "location_id)) or upper(trim(country)) in (select upper(trim(country)) from raw.suppliers "
        "where list_contains($suppliers, supplier_id) union select upper(trim(country)) from "
        "raw.locations where list_contains($places, location_id)) or (supplier_id is null and "
        "location_id is null and region_id is null and country is null)) and day >= $as_of::date",
        "day",
    ),
}

#: What is made of an item, over all levels.
MADE_OF = """
    with recursive made as (
        select item_id from marts.dim_bills_of_materials where part_id = $item
        union
        select above.item_id from marts.dim_bills_of_materials as above
        join made on above.part_id = made.item_id
    )
    select item_id from made
"""


class TraceError(StockhouseError):
    """The order line cannot be traced; the message says what is missing."""


@dataclass(frozen=True)
class Step:
    """One link of the chain: rows of one table that the link before it was made from, newest first;
    `found` counts them all."""

    link: str
    table: str
    rows: list[Row]
    found: int


@dataclass(frozen=True)
class TraceReport:
    """The chain of one order line. as_dict() is its JSON, str() its print."""

    order_line_id: str
    as_of: datetime
    line: Row
    steps: list[Step]
    notes: list[str] = field(default_factory=list)
    rows: int = SHOWN

    def as_dict(self) -> dict[str, Any]:
        """The whole trace as plain values, for --json and the desk."""
        steps = [
            {
                "link": step.link,
                "table": step.table,
                "found": step.found,
                "rows": [_plain(row) for row in step.rows],
            }
            for step in self.steps
        ]
        return {
            "order_line_id": self.order_line_id,
            "as_of": str(self.as_of),
            "line": _plain(self.line),
            "steps": steps,
            "notes": self.notes,
        }

    def __str__(self) -> str:
        parts = [
            f"order line {self.order_line_id}, decided as of {self.as_of:%Y-%m-%d %H:%M} UTC",
            *self.notes,
        ]
        link = ""
        for step in self.steps:
            if step.link != link:
                parts.append(f"\n{step.link}")
                link = step.link
            shown = step.rows if step.link == "decision" else step.rows[: self.rows]
            more = f" (showing {len(shown)} of {step.found}; --rows shows more)"
            more = more if step.found > len(shown) else ""
            parts.append(f"  {step.table}{more}")
            parts += [f"    {_told(row)}" for row in shown]
        return "\n".join(parts)


def trace(
    con: duckdb.DuckDBPyConnection,
    archive: Path,
    order_line_id: str,
    *,
    run_id: str | None = None,
    rows: int = SHOWN,
) -> TraceReport:
    """Follow one order line back to the files it came from.

    con: the home's warehouse. archive: state/archive, to tell whether the delivered bytes are still
    there.
    run_id: needed only where several runs share the line's id; by default the newest decision is
    traced. rows: how many of each table are told at least. Raises TraceError if no run proposed
    this line.
    """
    return _Tracer(con, archive, _order_line(con, order_line_id, run_id), rows).report()


def _order_line(con: duckdb.DuckDBPyConnection, order_line_id: str, run_id: str | None) -> Row:
    rows, _ = _select(
        con,
        "decisions.order_lines",
        (
            "(order_line_id = $id or ends_with(order_line_id, '-' || $id)) and ($run_id is null or "
            "run_id = $run_id)"
        ),
        {"id": order_line_id, "run_id": run_id},
        newest="as_of",
    )
    if not rows:
        raise TraceError(
            f"No run proposed an order line '{order_line_id}': `stockhouse orders` lists them."
        )
    return rows[0]


class _Tracer:
    """Reads link after link for one order line, each bounded by what was known when it was
    decided."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, archive: Path, line: Row, rows: int = SHOWN
    ) -> None:
        self.con, self.archive, self.line, self.as_of = con, archive, line, line["as_of"]
        self.rows = rows
        self.item, self.location = line["item_id"], line["location_id"]
        self.shops = self._served()
        self.steps: list[Step] = []

    def report(self) -> TraceReport:
        for link in (self._decision, self._forecast, self._features, self._marts, self._raw):
            link()
        self._files()
        return TraceReport(
            self.line["order_line_id"],
            self.as_of,
            self.line,
            self.steps,
            self._notes(),
            self.rows,
        )

    def _served(self) -> list[str]:
        """The location and everything it feeds with this item: their demand is why a warehouse
        orders."""
        rows = self.con.execute(
            """with recursive served as (
                select $location as location_id
                union
                select fed.location_id from served join marts.dim_item_locations as fed
                  on fed.from_id = served.location_id and fed.item_id = $item
                      and fed.kind = 'transfer'
            ) select location_id from served order by location_id""",
            {"item": self.item, "location": self.location},
        ).fetchall()
        return [location for (location,) in rows]

    def _add(
        self,
        link: str,
        table: str,
        where: str,
        given: dict[str, Any],
        newest: str,
        shown: int = SHOWN,
        order: str = "desc",
    ) -> None:
        rows, found = _select(self.con, table, where, given, newest, max(shown, self.rows), order)
        if found:
            self.steps.append(Step(link, table, rows, found))

    def _decision(self) -> None:
        self.steps.append(Step("order line", "decisions.order_lines", [self.line], 1))
        mine = {"run_id": self.line["run_id"], "id": self.line["order_line_id"]}
        self._add(
            "decision",
            "decisions.explanations",
            "run_id = $run_id and order_line_id = $id",
            mine,
            "part",
            shown=100,
        )
        # not every run rehearses
        rehearsal = (
            "run_id = (select max_by(run_id, as_of) from decisions.champions where as_of <= $as_of)"
        )
        self._add(
            "decision", "decisions.champions", rehearsal, {"as_of": self.as_of}, "is_champion"
        )
        # a warehouse of before there were any has none
        if "alternatives" in _tables(self.con, "decisions"):
            here = {"run_id": self.line["run_id"], "item": self.item, "location": self.location}
            at = "run_id = $run_id and item_id = $item and location_id = $location"
            self._add(
                "other ways", "decisions.alternatives", at, here, "rank", shown=100, order="asc"
            )

    def _forecast(self) -> None:
        given = {"run_id": self.line["run_id"], "item": self.item, "locations": self.shops}
        where = (
            "run_id = $run_id and item_id = $item and list_contains($locations, location_id) and "
            "quantile is null"
        )
        self._add(
            "forecast and model",
            "decisions.forecasts",
            where,
            given,
            "period_start",
            shown=28,
            order="asc",
        )
        if "surges" in _tables(self.con, "decisions"):
            rise = "run_id = $run_id and item_id = $item and list_contains($locations, location_id)"
            self._add("unusual rise", "decisions.surges", rise, given, "units", shown=50)
        if "models" in _tables(self.con, "decisions"):
            self._add(
                "forecast and model",
                "decisions.models",
                "run_id = $run_id",
                {"run_id": self.line["run_id"]},
                "trained_as_of",
            )

    def _features(self) -> None:
        keys = {
            "item_id": [self.item],
            "location_id": self.shops,
            "supplier_id": [self.line["from_id"]],
        }
        for table in _tables(self.con, "features"):
            columns = _columns(self.con, "features", table)
            filters = [f'list_contains(${name}, "{name}")' for name in keys if name in columns]
            if not filters or "known_at" not in columns:
                continue
            given: dict[str, Any] = {name: keys[name] for name in keys if name in columns} | {
                "as_of": self.as_of
            }
            moment = "event_at" if "event_at" in columns else "target_on"
            known = ["known_at <= $as_of"] + (
                ["event_at <= $as_of"] if moment == "event_at" else []
            )
            self._add(
                "feature rows",
                f"features.{table}",
                " and ".join(filters + known),
                given,
                moment,
                shown=len(self.shops),
            )

    def _marts(self) -> None:
        here: dict[str, Any] = {"item": self.item, "location": self.location}
        at = "item_id = $item and location_id = $location"
        self._add("mart rows", "marts.dim_item_locations", at, here, "item_id")
        self._add("mart rows", "marts.fct_stock_positions", at, here, "stock_known_at")
        self._add("mart rows", "marts.fct_open_orders", at, here, "ordered_at")
        demand = {"item": self.item, "locations": self.shops, "as_of": self.as_of}
        where = "item_id = $item and list_contains($locations, location_id) and known_at <= $as_of"
        self._add("mart rows", "marts.fct_demand", where, demand, "event_at")

    def _raw(self) -> None:
        """Raw rows under any name the item, the locations and the supplier go by, with the way back
        to their bytes: those of kits it is a part of and of items it follows are its own."""
        items, places = (
            self._names("item", [self.item, *self._asked_as()]),
            self._names("location", [*self.shops, self.line["from_id"]]),
        )
        suppliers = self._names("supplier", [self.line["from_id"]])
        known = {
            "item_id": items,
            "location_id": places,
            "supplier_id": suppliers,
            "from_id": places + suppliers,
            "to_id": places,
        }
        for name, table in CANONICAL.items():
            keyed = [column for column in known if column in table.required]
            if not keyed:
                continue
            where = " and ".join(f'(list_contains(${column}, "{column}"))' for column in keyed)
            given: dict[str, Any] = {column: known[column] for column in keyed} | {
                "as_of": self.as_of
            }
            self._add(
                "raw rows",
                f"raw.{name}",
                f"{where} and (known_at <= $as_of or known_at is null)",
                given,
                "known_at",
            )
        around = {"items": items, "places": places, "suppliers": suppliers, "as_of": self.as_of}
        for name, (where, newest) in AROUND.items():
            self._add(
                "raw rows",
                f"raw.{name}",
                f"({where}) and known_at <= $as_of",
                {word: value for word, value in around.items() if f"${word}" in where + "$as_of"},
                newest,
                shown=20,
            )

    def _asked_as(self) -> list[str]:
        """The kits that take of the item, what is made of it, over all levels, and the items whose
        place it has taken."""
        kits = "select kit_id from intermediate.int_components_exploded where part_id = $item"
        old = "select item_id from marts.dim_successions where successor_id = $item"
        asked = [kits] if "int_components_exploded" in _tables(self.con, "intermediate") else []
        marts = _tables(self.con, "marts")
        asked += [old] if "dim_successions" in marts else []
        asked += [MADE_OF] if "dim_bills_of_materials" in marts else []
        found = [self.con.execute(sql, {"item": self.item}).fetchall() for sql in asked]
        return sorted(item for rows in found for (item,) in rows)

    def _names(self, kind: str, ids: list[str]) -> list[str]:
        query = """select alias from marts.bridge_aliases
            where status = 'confirmed' and kind = $kind and list_contains($ids, id)
                and known_at <= $as_of"""
        found = self.con.execute(query, {"kind": kind, "ids": ids, "as_of": self.as_of}).fetchall()
        return sorted({*ids, *(alias for (alias,) in found)})

    def _files(self) -> None:
        """Each shown raw row's file and line: the path as it was handed over, the part (sheet,
        column, rule) and the row as the file shows it, titles and header counted."""
        for step in [step for step in self.steps if step.link == "raw rows"]:
            rows = []
            for row in step.rows:
                query = (
                    "select path, silo, bytes, coalesce(rows_above, 0) from raw.manifest "
                    "where delivery = ? and source_id = ?"
                )
                told = self.con.execute(query, [row["delivery"], row["source_id"]]).fetchone()
                path, silo, size, above = told or (None, None, None, 0)
                kept = (self.archive / str(row["delivery"])).exists()
                where = {
                    "file": path,
                    "part": row["part"],
                    "file_row": row["row_no"] + above,
                    "source_id": row["source_id"],
                    "silo": silo,
                }
                rows.append(
                    where | {"bytes": size, "delivery": row["delivery"], "is_archived": kept}
                )
            self.steps.append(Step("file, sheet, row", step.table, rows, step.found))

    def _notes(self) -> list[str]:
        now = self.con.execute("select now_at from raw.world").fetchone()
        if now and now[0] != self.as_of:
            return [
                (
                    f"The warehouse now shows {now[0]:%Y-%m-%d %H:%M} UTC: stock positions and "
                    "open "
                    "orders below are of that moment."
                )
            ]
        return []


def _select(
    con: duckdb.DuckDBPyConnection,
    table: str,
    where: str,
    given: dict[str, Any],
    newest: str,
    shown: int = SHOWN,
    order: str = "desc",
) -> tuple[list[Row], int]:
    """The newest rows of a table under a condition, as dicts, and how many there are."""
    schema, name = table.split(".")
    target = f'"{schema}"."{name}" where {where}'
    found = con.execute(f"select count(*) from {target}", given).fetchone()
    query = f'select * from {target} order by "{newest}" {order} limit {int(shown)}'
    return records(con, query, given), found[0] if found else 0


def _tables(con: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    query = "select table_name from information_schema.tables where table_schema = ? order by 1"
    return [name for (name,) in con.execute(query, [schema]).fetchall()]


def _columns(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> set[str]:
    query = (
        "select column_name from information_schema.columns where table_schema = ? and table_name "
        "= ?"
    )
    return {name for (name,) in con.execute(query, [schema, table]).fetchall()}


def _plain(row: Row) -> Row:
    return {
        name: value if isinstance(value, str | int | float | bool | list | None) else str(value)
        for name, value in row.items()
    }


def _told(row: Row) -> str:
    return ", ".join(
        f"{name}={_short(value)}"
        for name, value in row.items()
        if value is not None and name not in UNPRINTED
    )


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value)[:12] + "…" if isinstance(value, str) and len(value) == 64 else str(value)
