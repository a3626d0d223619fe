"""A webhook takes what is signed, once, and only says so when it is on disk."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import uuid
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orchestration.intake import Inbox, drain, receiver
from orchestration.landing import ContractError

KEY = uuid.uuid4().hex
SALE = {"id": "s1", "item": "apple", "store": "north", "day": "2024-03-01", "qty": 2}


@pytest.fixture
def world(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SHOP_WEBHOOK_SECRET", KEY)
    return shop.world(
        stream={"webhook": "${SHOP_WEBHOOK_SECRET}", "message_id": "id", "most_bytes": 400}
    )


def post(client: TestClient, body: bytes, *, secret: str = KEY, to: str = "sales") -> int:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return client.post(f"/{to}", content=body, headers={"X-Signature-256": signature}).status_code


def test_a_message_sent_twice_is_taken_once(shop: Any, world: Any) -> None:
    with Inbox(shop.inbox) as inbox, TestClient(receiver(world, inbox)) as client:
        assert [post(client, json.dumps(SALE).encode()) for _ in range(3)] == [202, 202, 202]
        assert post(client, json.dumps({**SALE, "id": "s2"}).encode()) == 202
    drain(world, shop.inbox)
    assert shop.landed(world) == (2, 4.0)


def test_an_acknowledged_message_is_already_on_disk(shop: Any, world: Any) -> None:
    with Inbox(shop.inbox) as inbox, TestClient(receiver(world, inbox)) as client:
        post(client, json.dumps(SALE).encode())
        with sqlite3.connect(shop.inbox / "inbox.sqlite") as other:
            assert other.execute("SELECT source, message_id FROM messages").fetchall() == [
                ("sales", "s1")
            ]


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (json.dumps(SALE).encode(), {"secret": "guessed"}, 401),
        (json.dumps(SALE).encode(), {"to": "elsewhere"}, 404),
        (json.dumps({**SALE, "note": "x" * 400}).encode(), {}, 413),
        (b"not json", {}, 400),
        (b'{"qty": NaN}', {}, 400),
        (b'{"item": "no id"}', {}, 400),
    ],
    ids=["signature", "source", "oversize", "no json", "nan", "no id"],
)
def test_what_is_refused_leaves_no_trace(
    shop: Any, world: Any, body: bytes, more: dict[str, str], status: int
) -> None:
    with Inbox(shop.inbox) as inbox, TestClient(receiver(world, inbox)) as client:
        assert post(client, body, **more) == status
        assert inbox.waiting("sales") == 0


def test_an_unsigned_or_oddly_signed_message_is_refused(shop: Any, world: Any) -> None:
    body = json.dumps(SALE).encode()
    with Inbox(shop.inbox) as inbox, TestClient(receiver(world, inbox)) as client:
        assert client.post("/sales", content=body).status_code == 401
        assert (
            client.post(
                "/sales", content=body, headers={"X-Signature-256": b"sha256=\xff\xfe"}
            ).status_code
            == 401
        )


def test_a_body_without_declared_length_is_bounded_too(shop: Any, world: Any) -> None:
    def endless() -> Any:
        for _ in range(100):
            yield b"x" * 100

    with Inbox(shop.inbox) as inbox, TestClient(receiver(world, inbox)) as client:
        assert client.post("/sales", content=endless()).status_code == 413


def test_no_receiver_starts_without_its_secret(
    shop: Any, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_WEBHOOK_SECRET")
    with (
        Inbox(shop.inbox) as inbox,
        pytest.raises(ContractError, match="SHOP_WEBHOOK_SECRET is not set"),
    ):
        receiver(world, inbox)
