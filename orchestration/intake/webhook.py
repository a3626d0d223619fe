"""A webhook receiver: signed messages, on disk before they are acknowledged, each counted once
however often it is sent."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from orchestration.intake.deliveries import decode
from orchestration.intake.inbox import Inbox, Message, field_of
from orchestration.intake.options import Webhook, resolve, stream_of
from orchestration.landing import ContractError, World


def webhooks(world: World) -> dict[str, Webhook]:
    """The sources of a world that are fed by webhooks."""
    found = {
        source_id: stream_of(world, source_id)
        for source_id, source in world.sources.items()
        if source.stream is not None
    }
    return {
        source_id: options for source_id, options in found.items() if isinstance(options, Webhook)
    }


def receiver(world: World, inbox: Inbox) -> FastAPI:
    """An app with `POST /<source_id>`: 202 taken or taken before, 400 no JSON, 401 wrong signature,
    404 no such source, 413 too large.

    The secrets are read from the environment now; ContractError where one is unset, or where no
    source has a webhook.
    """
    sources = webhooks(world)
    if not sources:
        raise ContractError(
            "no source of this world has a webhook",
            where=world.where("sources"),
            mend="stream: {webhook: ${SECRET}}",
        )
    secrets = {
        name: resolve(o.webhook, world.where("sources", name, "stream")).encode()
        for name, o in sources.items()
    }
    app = FastAPI(title="Stockhouse intake", docs_url=None, redoc_url=None, openapi_url=None)

    @app.post("/{source_id}")
    async def take(source_id: str, request: Request) -> Response:
        options = sources.get(source_id)
        if options is None:
            return Response("no such source", 404)
        body = await _bounded(request, options.most_bytes)
        if body is None:
            return Response(f"at most {options.most_bytes} bytes", 413)
        if not is_signed(body, request.headers.get(options.signature, ""), secrets[source_id]):
            return Response("the signature is wrong", 401)
        try:
            message = decode(body)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, (dict, list)):
            return Response("the body is no JSON object or list", 400)
        message_id = (
            field_of(body, options.message_id)
            if options.message_id
            else hashlib.sha256(body).hexdigest()
        )
        if message_id is None:
            return Response(f"the body has no `{options.message_id}`", 400)
        await run_in_threadpool(inbox.add, source_id, [Message(message_id, body)])
        return Response(status_code=202)

    return app


def is_signed(body: bytes, signature: str, secret: bytes) -> bool:
    """Whether `signature` is the hex HMAC-SHA256 of the body, compared in constant time."""
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(
        expected.encode(), signature.removeprefix("sha256=").strip().lower().encode()
    )


def serve(world: World, folder: Path, *, host: str = "127.0.0.1", port: int = 8340) -> None:
    """Receive until interrupted; loopback unless told otherwise (put TLS in front of anything
    else)."""
    with Inbox(folder) as inbox:
        uvicorn.run(receiver(world, inbox), host=host, port=port, log_level="warning")


async def _bounded(request: Request, most: int) -> bytes | None:
    """The body, or None as soon as it is known to be larger than allowed."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    return bytes(body)
