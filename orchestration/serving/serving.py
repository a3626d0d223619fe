"""Serving features to whoever asks now: Feast's own server, cut down to reading, on loopback or
behind a token.

Feast's routes that write, materialise or search are left out: they know neither of our two times
nor any authentication (feast#6810).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from math import isfinite
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from feast import FeatureStore
from feast.feature_server import GetOnlineFeaturesRequest, get_app
from feast.feature_server_utils import _STATUS_NAMES, _timestamp_to_str, _value_to_native
from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from feature_repo.online_offer import OnlineOffer, check_keys
from feature_repo.store import open_store
from orchestration.home import Home, HomeError
from orchestration.home.addresses import LOOPBACK, is_loopback

TOKEN = "STOCKHOUSE_FEATURES_TOKEN"  # noqa: S105 - the name of a variable
PLAIN = ("string_val", "int64_val", "int32_val", "bool_val")
#: A question about more rows than this is refused: the answer would not fit a request's time or
#: memory.
MOST_ROWS = 10_000
#: A token shorter than this can be guessed.
LEAST_TOKEN = 16


def serve(
    home: Home,
    *,
    host: str = "127.0.0.1",
    port: int = 6566,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Answer until interrupted. Raises ValueError for an address others can reach without a token,
    HomeError before the first run."""
    token = os.environ.get(TOKEN)
    check_address(host, token)
    store = open_store(home.warehouse, home.features)
    if not any((home.features / "served").glob("*.parquet")):
        raise HomeError(
            f"{home.root} serves no features yet: run `stockhouse run WORLD --until features "
            f"--home {home.root}` first"
        )
    if progress is not None:
        progress(f"serving features on http://{host}:{port}, until stopped")
    uvicorn.run(
        feature_server(store, token, is_local=is_loopback(host)),
        host=host,
        port=port,
        log_level="warning",
    )


def check_address(host: str, token: str | None) -> None:
    """Refuse an address that others can reach without a token, and a token that can be guessed."""
    if token is None and not is_loopback(host):
        raise ValueError(
            f"{host} can be reached by others: set {TOKEN} to a secret of {LEAST_TOKEN} characters "
            "or more, or use 127.0.0.1"
        )
    if token is not None and len(token) < LEAST_TOKEN:
        raise ValueError(
            f"{TOKEN} has {len(token)} characters; a token needs {LEAST_TOKEN} or more"
        )


def feature_server(
    store: FeatureStore, token: str | None = None, *, is_local: bool = True
) -> FastAPI:
    """Feast's app with POST /get-online-features and GET /health alone: 401 without the token, 422
    for what cannot be asked.

    is_local: answer only requests that name this machine, so that no web page can reach it by
    another name (DNS rebinding).
    """
    offer, app = OnlineOffer.of(store), get_app(store)
    feasts = {route.path: route for route in app.router.routes if isinstance(route, APIRoute)}
    app.router.routes[:] = [feasts["/health"]]

    @app.post("/get-online-features")
    async def get_online_features(asked: GetOnlineFeaturesRequest) -> JSONResponse:
        try:
            check_keys(
                offer.keys_of(asked.feature_service, asked.features), asked.entities, most=MOST_ROWS
            )
        except (LookupError, TypeError, ValueError) as error:
            raise HTTPException(422, str(error)) from error
        features = (
            offer.services[asked.feature_service] if asked.feature_service else asked.features
        )
        answer = await run_in_threadpool(
            store.get_online_features, features, asked.entities, asked.full_feature_names
        )
        return await run_in_threadpool(lambda: JSONResponse(as_json(answer.proto)))

    if token:
        app.add_middleware(Bearer, token=token)
    if is_local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    return app


def as_json(answer: GetOnlineFeaturesResponse) -> dict[str, Any]:
    """Feast's own JSON of an answer, in a fifth of the time: most values are plain, and most of
    their times the same."""
    stamps: dict[tuple[int, int], str] = {}

    def stamp(time: Timestamp) -> str:
        key = time.seconds, time.nanos
        if key not in stamps:
            stamps[key] = _timestamp_to_str(time)
        return stamps[key]

    def value(cell: Value) -> Any:
        kind = cell.WhichOneof("val") or "null_val"
        is_plain = kind in PLAIN or (kind == "float_val" and isfinite(cell.float_val))
        return getattr(cell, kind) if is_plain else _value_to_native(cell)

    results = [
        {
            "values": [value(cell) for cell in column.values],
            "statuses": [_STATUS_NAMES[status] for status in column.statuses],
            "event_timestamps": [stamp(time) for time in column.event_timestamps],
        }
        for column in answer.results
    ]
    return {
        "results": results,
        "metadata": {"feature_names": list(answer.metadata.feature_names.val)},
    }


class Bearer:
    """Lets requests through that carry `Authorization: Bearer <token>`; the rest get 401 before a
    byte of their body is read."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request that carries the token; answer any other with 401."""
        if scope["type"] == "lifespan" or hmac.compare_digest(
            dict(scope["headers"]).get(b"authorization", b""), self.expected
        ):
            await self.app(scope, receive, send)
        else:
            refusal = JSONResponse(
                {"detail": "send the header Authorization: Bearer <token>"},
                401,
                {"WWW-Authenticate": "Bearer"},
            )
            await refusal(scope, receive, send)
