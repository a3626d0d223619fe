"""A small company in a temporary folder: a contract, some files, a warehouse and an archive."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from orchestration.landing import LandReport, World, land, reland
from orchestration.landing.contract.canonical import CANONICAL

HEAD = """
world: shop
currency: EUR
timezone: {timezone}
plan: {{grain: {grain}, review: weekly, absent_sales: zero, lead_time_days: 7}}
"""
SALES = """
sources:
  tills:
    silo: pos
    path: tills/*.csv
    key: [till, line]
    known_after: 1 day
    into:
      - sales: {item_id: item, location_id: store, event_at: day, quantity: qty, unit_price: price}
"""
FIRST_DAY = "till,line,item,store,day,qty,price\nT1,1,apple,north,2024-03-01,3,1.50\nT1,2,pear,north,2024-03-01,2,2.25\n"


class Company:
    """Writes files, lands them and reads what came of it."""

    def __init__(
        self,
        folder: Path,
        sources: str = SALES,
        *,
        timezone: str = "UTC",
        grain: str = "day",
        extra: str = "",
    ) -> None:
        self.folder, self.archive = folder, folder / "state" / "archive"
        self.data = folder / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.head = HEAD.format(timezone=timezone, grain=grain) + extra
        self.contract(sources)
        self.con = duckdb.connect(str(folder / "warehouse.duckdb"), config={"threads": "1"})

    def contract(self, sources: str) -> None:
        (self.data / "world.yml").write_text(self.head + sources, encoding="utf-8")

    @property
    def world(self) -> World:
        return World.load(self.data)

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def land(self, as_of: date | None = None, **more: Any) -> LandReport:
        return land(self.con, self.world, self.data, self.archive, as_of=as_of, **more)

    def reland(self) -> LandReport:
        return reland(self.con, self.world, self.archive)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.con.execute(sql).fetchall()

    def business(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every canonical table's business columns and both times; delivery bookkeeping left
        out."""
        found = {}
        for name, table in CANONICAL.items():
            columns = ", ".join(
                f'"{column}"'
                for column in (*table.columns, "known_at", "known_lag", "handed_over_at")
            )
            rows = self.rows(f"SELECT {columns}, source_id FROM raw.{name} ORDER BY ALL")
            if rows:
                found[name] = rows
        return found
