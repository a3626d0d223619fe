"""Events a second from a broker to canonical rows: NATS JetStream -> inbox (durable) -> deliveries
-> landing, and each part alone.

python tests/benchmarks/bench_intake.py [EVENTS]   (NATS from STOCKHOUSE_NATS_URL; without it only
the parts that need no broker)
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import yaml

from orchestration.intake import Inbox, Message, drain, receive, waiting
from orchestration.landing import World, land

BATCH = 500


def main(events: int) -> None:
    bodies = [_sale(number) for number in range(events)]
    print(f"{events:,} events, batches of {BATCH}; the goal is 5,000 a second end to end.\n")
    print("| step | events/s | seconds |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        _parts(Path(folder), bodies)
    if os.environ.get("STOCKHOUSE_NATS_URL"):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_through_nats(Path(folder), bodies))


def _sale(number: int) -> bytes:
    day = (date(2024, 1, 1) + timedelta(days=number % 90)).isoformat()
    sale = {
        "id": f"s{number}",
        "item": f"i{number % 500}",
        "store": f"n{number % 20}",
        "day": day,
        "qty": number % 7 + 1,
        "price": 1.25,
    }
    return json.dumps(sale).encode()


def _world(folder: Path, stream: dict[str, Any]) -> World:
    rule = {
        "item_id": "item",
        "location_id": "store",
        "event_at": "day",
        "quantity": "qty",
        "unit_price": "price",
    }
    plan = {"grain": "day", "review": "weekly", "absent_sales": "zero", "lead_time_days": 7}
    source = {
        "silo": "tills",
        "stream": stream,
        "key": ["id"],
        "known_after": "1 day",
        "into": [{"sales": rule}],
    }
    contract = {"world": "bench", "currency": "EUR", "plan": plan, "sources": {"sales": source}}
    (folder / "world.yml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    return World.load(folder)


def _hand_on(world: World, folder: Path) -> tuple[float, float, int]:
    """Seconds to write deliveries, seconds to land them, rows landed."""
    began = time.perf_counter()
    drain(world, folder / "inbox")
    drained = time.perf_counter()
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        land(con, world, folder, folder / "archive", inbox=folder / "inbox")
        row = con.execute("SELECT count(*) FROM raw.sales").fetchone()
    return drained - began, time.perf_counter() - drained, row[0] if row else 0


def _parts(folder: Path, bodies: list[bytes]) -> None:
    world = _world(folder, {"webhook": "${NOT_USED_HERE}"})
    with Inbox(folder / "inbox") as inbox:
        began = time.perf_counter()
        for start in range(0, len(bodies), BATCH):
            inbox.add(
                "sales",
                [
                    Message(f"s{start + i}", body)
                    for i, body in enumerate(bodies[start : start + BATCH])
                ],
            )
        added = time.perf_counter() - began
    drained, landed, rows = _hand_on(world, folder)
    if rows != len(bodies):
        raise SystemExit(f"{rows:,} of {len(bodies):,} events landed")
    for name, seconds in (
        ("append, durable", added),
        ("write deliveries", drained),
        ("land", landed),
        ("together", added + drained + landed),
    ):
        _say(name, len(bodies), seconds)


async def _through_nats(folder: Path, bodies: list[bytes]) -> None:
    import nats

    name = f"BENCH{uuid.uuid4().hex[:8]}"
    world = _world(
        folder,
        {
            "nats": "${STOCKHOUSE_NATS_URL}",
            "stream": name,
            "subject": f"{name}.sales",
            "message_id": "id",
            "batch": BATCH,
        },
    )
    connection = await nats.connect(os.environ["STOCKHOUSE_NATS_URL"])
    js = connection.jetstream()
    await js.add_stream(name=name, subjects=[f"{name}.sales"])
    try:
        for start in range(0, len(bodies), BATCH):
            await asyncio.gather(
                *(js.publish(f"{name}.sales", body) for body in bodies[start : start + BATCH])
            )
        began = time.perf_counter()
        receiving = asyncio.create_task(receive(world, folder / "inbox"))
        while waiting(world, folder / "inbox")["sales"] < len(bodies):
            if receiving.done():
                receiving.result()
            await asyncio.sleep(0.1)
        received = time.perf_counter() - began
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        drained, landed, rows = await asyncio.to_thread(_hand_on, world, folder)
    finally:
        await js.delete_stream(name)
        await connection.close()
    if rows != len(bodies):
        raise SystemExit(f"{rows:,} of {len(bodies):,} events landed")
    total = received + drained + landed
    _say("NATS to inbox, durable", len(bodies), received)
    _say("NATS to canonical rows", len(bodies), total)


def _say(step: str, events: int, seconds: float) -> None:
    print(f"| {step} | {events / seconds:,.0f} | {seconds:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
