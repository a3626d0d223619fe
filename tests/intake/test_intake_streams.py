"""Streams against real brokers: repeats, a consumer stopped mid-way, a broker restarted: nothing
lost, nothing double."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestration.intake import Inbox, drain, inbox, receive, waiting
from orchestration.landing import ContractError

NATS = os.environ.get("STOCKHOUSE_NATS_URL", "")
MQTT = os.environ.get("STOCKHOUSE_MQTT_URL", "")
PATIENCE = 30.0


def body(number: int) -> bytes:
    return json.dumps(
        {"id": f"s{number}", "item": "apple", "store": "north", "day": "2024-03-01", "qty": 1}
    ).encode()


async def until(world: Any, folder: Path, number: int) -> None:
    """Receive until so many messages have come, then stop at once."""
    receiving = asyncio.create_task(receive(world, folder))
    try:
        async with asyncio.timeout(PATIENCE):
            while waiting(world, folder)["sales"] < number:
                if receiving.done():
                    receiving.result()
                await asyncio.sleep(0.05)
    finally:
        receiving.cancel()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(receiving, return_exceptions=True)


async def _on_nats(
    url: str, stream: str, subject: str, work: Callable[[Any], Awaitable[None]]
) -> None:
    import nats

    connection = await nats.connect(url)
    try:
        await work(connection.jetstream())
    finally:
        await connection.close()


@pytest.fixture
def jetstream(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stream of its own on the real server: (name, subject, publish)."""
    if not NATS:
        pytest.skip("STOCKHOUSE_NATS_URL is not set")
    name = f"T{uuid.uuid4().hex[:10]}"
    subject = f"{name}.sales"

    async def create(js: Any) -> None:
        await js.add_stream(name=name, subjects=[subject])

    def publish(numbers: range, **headers: str) -> None:
        async def work(js: Any) -> None:
            for number in numbers:
                await js.publish(subject, body(number), headers=headers or None)

        asyncio.run(_on_nats(NATS, name, subject, work))

    asyncio.run(_on_nats(NATS, name, subject, create))
    yield name, subject, publish
    asyncio.run(_on_nats(NATS, name, subject, lambda js: js.delete_stream(name)))


@pytest.mark.service
def test_nats_messages_that_come_again_and_again_land_once(shop: Any, jetstream: Any) -> None:
    name, subject, publish = jetstream
    said = {
        "nats": "${STOCKHOUSE_NATS_URL}",
        "stream": name,
        "subject": subject,
        "message_id": "id",
        "batch": 20,
    }
    world = shop.world(stream=said, identity="row")
    publish(range(100))
    asyncio.run(until(world, shop.inbox, 40))  # stopped mid-way
    publish(range(50, 150))  # the sender repeats itself
    drain(world, shop.inbox)
    first = shop.landed(world)[0]
    asyncio.run(until(world, shop.inbox, 150 - first))
    drain(world, shop.inbox)
    assert shop.landed(world) == (150, 150.0)
    assert sorted(json.loads(line)["_message_id"] for line in shop.lines()) == sorted(
        f"s{number}" for number in range(150)
    )


@pytest.mark.service
def test_a_receiver_ends_also_where_it_is_told_in_the_moment_a_message_comes(
    shop: Any, jetstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.wait_for` of Python 3.11 does to whoever is cancelled just then, and NATS's
    client waits with it."""
    from nats.js.client import JetStreamContext

    name, subject, publish = jetstream
    said = {"nats": "${STOCKHOUSE_NATS_URL}", "stream": name, "subject": subject, "batch": 1}
    world = shop.world(stream=said, identity="row")
    publish(range(3))
    fetch, times = JetStreamContext.PullSubscription.fetch, []

    async def forgetful(self: Any, batch: int, timeout: float) -> Any:
        times.append(1)
        if len(times) == 2:  # the second message comes, and with it the end, of which nobody hears
            task = asyncio.current_task()
            assert task
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        return await fetch(self, batch, timeout)

    monkeypatch.setattr(JetStreamContext.PullSubscription, "fetch", forgetful)

    async def work() -> None:
        async with asyncio.timeout(PATIENCE):
            await receive(world, shop.inbox)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(work())
    assert waiting(world, shop.inbox)["sales"] == 2, "what had come is kept"


@pytest.mark.service
def test_nats_gives_again_what_was_not_acknowledged(
    shop: Any, jetstream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, subject, publish = jetstream
    said = {
        "nats": "${STOCKHOUSE_NATS_URL}",
        "stream": name,
        "subject": subject,
        "ack_wait_seconds": 1,
        "batch": 10,
    }
    world = shop.world(stream=said, identity="row")
    publish(range(30))
    add, times = Inbox.add, []

    def fail_twice(self: Inbox, source: str, messages: Any) -> int:
        times.append(1)
        if len(times) == 1:
            raise OSError("the disk is full")  # before it is durable
        taken = add(self, source, messages)
        if len(times) == 2:
            raise OSError("the disk is full")  # durable, but never acknowledged
        return taken

    monkeypatch.setattr(inbox.Inbox, "add", fail_twice)
    asyncio.run(until(world, shop.inbox, 30))
    drain(world, shop.inbox)
    assert shop.landed(world) == (30, 30.0)


@pytest.mark.service
def test_a_stream_that_the_server_lacks_is_an_error_of_the_contract(shop: Any) -> None:
    if not NATS:
        pytest.skip("STOCKHOUSE_NATS_URL is not set")
    world = shop.world(
        stream={"nats": "${STOCKHOUSE_NATS_URL}", "stream": "NOSUCH", "subject": "no.such"}
    )
    with pytest.raises(ContractError, match="has no stream NOSUCH"):
        asyncio.run(until(world, shop.inbox, 1))


async def _on_mqtt(url: str, topic: str, numbers: range) -> None:
    import aiomqtt

    parts = urlsplit(url)
    async with aiomqtt.Client(parts.hostname or "", parts.port or 1883) as client:
        for number in numbers:
            await client.publish(topic, body(number), qos=1)


@pytest.fixture
def telemetry(shop: Any) -> Any:
    """A topic and a persistent session of its own: (world, publish)."""
    if not MQTT:
        pytest.skip("STOCKHOUSE_MQTT_URL is not set")
    topic, session = f"t/{uuid.uuid4().hex[:10]}/sales", f"stockhouse-{uuid.uuid4().hex[:10]}"
    said = {
        "mqtt": "${STOCKHOUSE_MQTT_URL}",
        "topic": topic,
        "client_id": session,
        "message_id": "id",
        "batch": 20,
    }
    yield (
        shop.world(stream=said, identity="row"),
        lambda numbers: asyncio.run(_on_mqtt(MQTT, topic, numbers)),
    )

    async def forget() -> None:
        import aiomqtt

        parts = urlsplit(MQTT)
        async with aiomqtt.Client(
            parts.hostname or "", parts.port or 1883, identifier=session, clean_session=True
        ):
            return

    asyncio.run(forget())


async def both(world: Any, folder: Path, number: int, publishing: Awaitable[None]) -> None:
    """Receive while something is published."""
    receiving = asyncio.create_task(until(world, folder, number))
    await asyncio.sleep(0.5)
    await publishing
    await receiving


@pytest.mark.service
def test_mqtt_keeps_what_is_sent_while_we_are_away_and_repeats_land_once(
    shop: Any, telemetry: Any
) -> None:
    world, publish = telemetry
    topic = world.sources["sales"].stream["topic"]
    asyncio.run(both(world, shop.inbox, 10, _on_mqtt(MQTT, topic, range(60))))  # stopped mid-way
    publish(range(40, 120))  # while nobody listens, and partly again
    asyncio.run(until(world, shop.inbox, 120))
    drain(world, shop.inbox)
    assert shop.landed(world) == (120, 120.0)


@pytest.mark.service
def test_mqtt_gives_again_what_was_not_acknowledged(
    shop: Any, telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = telemetry
    topic = world.sources["sales"].stream["topic"]
    add, times = Inbox.add, []

    def fail_twice(self: Inbox, source: str, messages: Any) -> int:
        times.append(1)
        if len(times) == 1:
            raise OSError("the disk is full")  # before it is durable
        taken = add(self, source, messages)
        if len(times) == 2:
            raise OSError("the disk is full")  # durable, but never acknowledged
        return taken

    monkeypatch.setattr(inbox.Inbox, "add", fail_twice)
    asyncio.run(both(world, shop.inbox, 60, _on_mqtt(MQTT, topic, range(60))))
    drain(world, shop.inbox)
    assert shop.landed(world) == (60, 60.0)


class Broker:
    """A NATS server of the test's own, that may be killed and started again on the same files."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder, self.url = folder, f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        server = shutil.which("nats-server") or "/usr/sbin/nats-server"
        self.process = subprocess.Popen(
            [server, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)],
            stderr=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.service
def test_a_broker_that_is_killed_and_started_again_loses_and_doubles_nothing(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not NATS:
        pytest.skip("STOCKHOUSE_NATS_URL is not set")
    broker = Broker(tmp_path / "broker")
    monkeypatch.setenv("SHOP_NATS_URL", broker.url)
    said = {
        "nats": "${SHOP_NATS_URL}",
        "stream": "SALES",
        "subject": "sales",
        "message_id": "id",
        "ack_wait_seconds": 2,
        "batch": 10,
    }
    world = shop.world(stream=said, identity="row")

    async def drill() -> None:
        receiving: asyncio.Task[None] | None = None
        try:
            for part in (range(40), range(30, 80)):
                await asyncio.to_thread(broker.start)
                async with asyncio.timeout(PATIENCE):
                    while not _listens(broker.port):
                        await asyncio.sleep(0.05)

                async def publish(js: Any, part: range = part) -> None:
                    if part.start == 0:
                        await js.add_stream(name="SALES", subjects=["sales"])
                    for number in part:
                        await js.publish("sales", body(number))

                await _on_nats(broker.url, "SALES", "sales", publish)
                receiving = receiving or asyncio.create_task(receive(world, shop.inbox))
                async with asyncio.timeout(PATIENCE):
                    while waiting(world, shop.inbox)["sales"] < (20 if part.start == 0 else 80):
                        await asyncio.sleep(0.05)
                await asyncio.to_thread(broker.kill)
        finally:
            if receiving is not None:
                receiving.cancel()
                await asyncio.gather(receiving, return_exceptions=True)

    try:
        asyncio.run(drill())
    finally:
        broker.kill()
    drain(world, shop.inbox)
    assert shop.landed(world) == (80, 80.0)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
