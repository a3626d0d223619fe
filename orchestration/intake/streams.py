"""Streams into the inbox: NATS JetStream and MQTT, each message acknowledged only after it is on
disk.

A message that comes again (its acknowledgement was lost, its sender repeats itself, we were stopped
mid-way) is known by its id.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential

from orchestration.intake.inbox import Inbox, Message, field_of
from orchestration.intake.options import Mqtt, Nats, host_of, server, stream_of
from orchestration.landing import ContractError, World

if TYPE_CHECKING:
    import aiomqtt
    from nats.aio.msg import Msg

log = logging.getLogger(__name__)
FETCH_SECONDS = 1.0


def brokers(world: World) -> dict[str, Nats | Mqtt]:
    """The sources of a world that are fed by a message broker."""
    found = {
        source_id: stream_of(world, source_id)
        for source_id, source in world.sources.items()
        if source.stream is not None
    }
    return {
        source_id: options
        for source_id, options in found.items()
        if isinstance(options, (Nats, Mqtt))
    }


async def receive(world: World, folder: Path) -> None:
    """Take in every NATS and MQTT source of the world until cancelled; a lost connection is tried
    again, a wrong contract stops.

    Raises ContractError for options that cannot be right, or a stream that the server does not
    have.
    """
    with Inbox(folder) as inbox:
        tasks: list[Coroutine[Any, Any, None]] = []
        for source_id, options in brokers(world).items():
            consume = consume_nats if isinstance(options, Nats) else consume_mqtt
            tasks.append(
                _patiently(
                    consume, source_id, options, inbox, world.where("sources", source_id, "stream")
                )
            )
        if not tasks:
            raise ContractError(
                "no source of this world is fed by NATS or MQTT", where=world.where("sources")
            )
        await asyncio.gather(*tasks)


async def consume_nats(source_id: str, options: Nats, inbox: Inbox, where: str = "") -> None:
    """Pull from a durable JetStream consumer until cancelled: fetch, append, acknowledge.

    The id is the declared field of the body, else the header Nats-Msg-Id, else stream and sequence.
    """
    import nats  # noqa: PLC0415 - an extra
    from nats.errors import TimeoutError as NothingYet  # noqa: PLC0415
    from nats.js.api import AckPolicy, ConsumerConfig  # noqa: PLC0415
    from nats.js.errors import NotFoundError  # noqa: PLC0415

    connection = await nats.connect(
        server(options.nats, where), max_reconnect_attempts=-1, reconnect_time_wait=0.2
    )
    try:
        config = ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=options.ack_wait_seconds,
            max_ack_pending=4 * options.batch,
        )
        try:
            subscription = await connection.jetstream().pull_subscribe(
                options.subject, options.durable, options.stream, config
            )
        except NotFoundError:
            raise ContractError(
                f"the server has no stream {options.stream}",
                where=where,
                mend="create it, or see the spelling",
            ) from None
        while True:
            try:
                fetched = await subscription.fetch(options.batch, timeout=FETCH_SECONDS)
            except NothingYet:
                _end_if_cancelled()
                continue
            messages = [
                Message(_nats_id(message, options), message.data, message.metadata.timestamp)
                for message in fetched
            ]
            await asyncio.to_thread(inbox.add, source_id, messages)
            for message in fetched:
                await message.ack()
            _end_if_cancelled()
    finally:
        await connection.close()


def _end_if_cancelled() -> None:
    """Raises CancelledError where somebody asked for it and it was lost: before Python 3.12
    `asyncio.wait_for`, which both clients wait with, forgets it if what it waits for comes in that
    same moment."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


def _nats_id(message: Msg, options: Nats) -> str:
    said = (
        field_of(message.data, options.message_id)
        if options.message_id
        else (message.headers or {}).get("Nats-Msg-Id")
    )
    return said or f"{message.metadata.stream}:{message.metadata.sequence.stream}"


async def consume_mqtt(source_id: str, options: Mqtt, inbox: Inbox, where: str = "") -> None:
    """Read a topic filter at QoS 1 in a persistent session until cancelled: receive, append,
    acknowledge.

    The id is the declared field of the body; a message without it is known by the hash of its topic
    and bytes.
    """
    import aiomqtt  # noqa: PLC0415 - an extra

    url = server(options.mqtt, where)
    host, port, user, password = host_of(url, 8883 if url.startswith("mqtts") else 1883)
    tls = aiomqtt.TLSParameters() if url.startswith("mqtts") else None
    client = aiomqtt.Client(
        host,
        port,
        username=user,
        password=password,
        identifier=options.client_id,
        clean_session=False,
        tls_params=tls,
    )
    client._client.manual_ack_set(True)  # by default it acknowledges what has merely reached memory
    async with client:
        await client.subscribe(options.topic, qos=1)
        _end_if_cancelled()
        taken: list[aiomqtt.Message] = []
        async for message in client.messages:
            taken.append(message)
            if len(client.messages) and len(taken) < options.batch:
                continue
            await asyncio.to_thread(
                inbox.add, source_id, [Message(_mqtt_id(m, options), _payload(m)) for m in taken]
            )
            for m in taken:
                if m.qos:
                    client._client.ack(m.mid, m.qos)
            taken.clear()


def _mqtt_id(message: aiomqtt.Message, options: Mqtt) -> str:
    body = _payload(message)
    return (
        field_of(body, options.message_id)
        or hashlib.sha256(f"{message.topic}\n".encode() + body).hexdigest()
    )


def _payload(message: aiomqtt.Message) -> bytes:
    return (
        message.payload
        if isinstance(message.payload, bytes)
        else str(message.payload or "").encode()
    )


async def _patiently(consume: Any, source_id: str, options: Any, inbox: Inbox, where: str) -> None:
    """Begin again after a lost connection, waiting longer each time; what was not acknowledged
    comes again."""

    def say(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.warning("%s: %s; connecting again", source_id, error)

    # cancelling is final
    passing = retry_if_exception(
        lambda error: isinstance(error, Exception) and not isinstance(error, ContractError)
    )
    again = AsyncRetrying(
        retry=passing, wait=wait_exponential(0.5, max=30), after=say, reraise=True
    )
    await again(consume, source_id, options, inbox, where)
