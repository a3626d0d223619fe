"""From a signed message to a served feature and back: what `receive --push` serves at once is what
the next run serves."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from feature_repo.store import online_frame, open_store, training_frame
from orchestration.app import publishing
from orchestration.home import Home

SECRET = "told to nobody"  # noqa: S105 - signs nothing but this test's counts
WORLD = """
world: corner
currency: EUR
plan: {grain: day, review: weekly, absent_sales: zero, lead_time_days: 3}
sources:
  till:
    silo: erp
    path: sales.csv
    key: [no]
    known_after: 1 day
    into: [sales: {item_id: item, location_id: shop, event_at: day, quantity: qty}]
  counts:
    silo: erp
    stream: {webhook: "${COUNTS_SECRET}", message_id: number}
    key: [item, shop, at]
    known_at: at
    into: [stock: {item_id: item, location_id: shop, event_at: at, on_hand: pieces}]
"""
KEYS = pl.DataFrame(
    {
        "item_id": ["apple", "pear"],
        "location_id": "north",
        "region_id": "r",
        "supplier_id": "s",
        "lane_id": "s>north",
    }
)


@contextmanager
def listening(world: Path, home: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """`stockhouse receive --push` in a process of its own; gives back what sends it a signed
    message."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        str(Path(sys.executable).parent / "stockhouse"),
        "receive",
        str(world),
        "--home",
        str(home),
        "--push",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, env=os.environ | {"COUNTS_SECRET": SECRET})

    def send(said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        signed = {"X-Signature-256": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
        assert (
            httpx.post(f"http://127.0.0.1:{port}/counts", content=body, headers=signed).status_code
            == 202
        )

    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield send
    finally:
        process.kill()
        process.wait()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end, "never happened"
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.line
def test_a_pushed_count_is_what_the_next_run_serves(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    world, home = tmp_path / "world", tmp_path / "home"
    world.mkdir()
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(30)]
    rows = [
        f"{item}{k},{item},north,{day},{k % 3 + 1}"
        for item in ("apple", "pear")
        for k, day in enumerate(days)
    ]
    (world / "sales.csv").write_text(
        "\n".join(["no,item,shop,day,qty", *rows]) + "\n", encoding="utf-8"
    )
    command("run", world, "--home", home, "--until", "features")
    place = Home.open(home)
    publishing.write_snapshot(place.warehouse, place.published, "run", datetime(2024, 1, 31))
    store = open_store(place.warehouse, place.features)

    def served() -> list[Any]:
        return (
            online_frame(store, KEYS, "replenishment_v1")
            .select("on_hand", "is_in_stock", "periods_since_stock_out")
            .rows()
        )

    with listening(world, home) as send:
        send(
            {
                "number": 1,
                "item": "apple",
                "shop": "north",
                "at": "2024-02-01 08:00:00",
                "pieces": 0,
            }
        )
        send(
            {
                "number": 2,
                "item": "apple",
                "shop": "north",
                "at": "2024-02-02 20:00:00",
                "pieces": 7,
            }
        )
        until(lambda: served()[0][0] == 7.0)
    pushed = served()
    assert pushed == [(7.0, True, 1.5), (None, None, None)]
    command("pull", world, "--home", home)
    command("run", world, "--home", home, "--until", "features")
    assert served() == pushed
    now = pl.lit(datetime(2024, 2, 2, 20, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    known = training_frame(store, KEYS.with_columns(event_timestamp=now), "replenishment_v1")
    assert known.select("on_hand", "is_in_stock", "periods_since_stock_out").rows() == pushed
