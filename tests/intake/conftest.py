"""A shop whose sales come from elsewhere: a contract, an inbox, and what landing makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from orchestration.landing import World, land

SALE = {"item_id": "item", "location_id": "store", "event_at": "day", "quantity": "qty"}


class Shop:
    """One source called `sales`, fed as told; landing reads its inbox."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.inbox = folder, folder / "state" / "inbox"
        self.inbox.mkdir(parents=True)
        self.con = duckdb.connect(config={"threads": "1"})

    def world(self, **source: Any) -> World:
        fed = {"silo": "tills", "known_after": "1 day", "into": [{"sales": SALE}], **source}
        if "identity" not in fed:
            fed.setdefault("key", ["id"])
        plan = {"grain": "day", "review": "weekly", "absent_sales": "zero", "lead_time_days": 7}
        contract = {"world": "shop", "currency": "EUR", "plan": plan, "sources": {"sales": fed}}
        (self.folder / "world.yml").write_text(yaml.safe_dump(contract), encoding="utf-8")
        return World.load(self.folder)

    def landed(self, world: World) -> tuple[int, float]:
        """Land the inbox; how many sales there are now (newest version of each) and how many
        units."""
        land(self.con, world, self.folder, self.folder / "state" / "archive", inbox=self.inbox)
        row = self.con.execute(
            "SELECT count(DISTINCT row_key), sum(quantity) FROM raw.sales"
        ).fetchone()
        assert row is not None
        return int(row[0]), float(row[1] or 0)

    def quarantined(self) -> int:
        row = self.con.execute("SELECT count(*) FROM raw.quarantine").fetchone()
        assert row is not None
        return int(row[0])

    def lines(self) -> list[str]:
        return [
            line
            for path in sorted(self.inbox.glob("sales/*.jsonl"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path)
    yield found
    found.con.close()
