"""`stockhouse forget` as a person runs it: through the inbox, the archive and the warehouse, until
no file of the home knows them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration.home import Home
from orchestration.intake import Inbox, Message
from orchestration.landing import World
from orchestration.landing.load import quarantine

WORLD = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: shop
    stream: {webhook: '${TILL_SECRET}', message_id: line}
    key: [line]
    known_after: 1 day
    into: [sales: {item_id: item, location_id: store, event_at: day, quantity: qty, customer_id: who}]
"""
ANN = "ANN-90210-north"


def test_no_file_of_a_home_knows_who_was_forgotten(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    (tmp_path / "world.yml").write_text(WORLD, encoding="utf-8")
    home = Home.found(tmp_path / "home", "shop")
    rows = [
        {"line": n, "item": "apple", "store": "north", "day": "2024-03-01", "qty": qty, "who": ANN}
        for n, qty in enumerate((1, "many", 3))
    ]
    bodies = [*(json.dumps(row).encode() for row in rows), f"{ANN} came in".encode()]
    with Inbox(home.inbox) as inbox:
        inbox.add("till", [Message(str(n), body) for n, body in enumerate(bodies)])
    earlier_day = home.past / "2024-03-01-0123456789ab" / "state" / "archive"
    earlier_day.mkdir(parents=True)
    (earlier_day / "till.jsonl").write_bytes(bodies[0])
    told = json.loads(command("forget", tmp_path, ANN, "--home", home.root, "--json").stdout)
    assert (told["deliveries"], told["rows"], told["sources"]) == (1, 3, ["till"])
    assert not [
        path
        for path in home.root.rglob("*")
        if path.is_file() and ANN.encode() in path.read_bytes()
    ]
    with home.connect() as con:
        assert con.execute(
            "SELECT count(*), count(DISTINCT customer_id) FROM raw.sales"
        ).fetchone() == (2, 1)
        assert ANN not in str(quarantine.list(con).rows())
    assert "nothing to forget" in command("forget", tmp_path, ANN, "--home", home.root).stdout
    assert World.load(tmp_path).names_customers("till")


def test_forgetting_needs_a_home_of_this_world(tmp_path: Path, command: Callable[..., Any]) -> None:
    (tmp_path / "world.yml").write_text(WORLD, encoding="utf-8")
    Home.found(tmp_path / "home", "other")
    refused = command("forget", tmp_path, ANN, "--home", tmp_path / "home", code=2)
    assert "world 'other', not 'shop'" in refused.stderr
