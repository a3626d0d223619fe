"""A script at the desk's API: a client with a token of somebody's."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

from starlette.testclient import TestClient

from orchestration.home import Home
from orchestration.web.people import People
from orchestration.web.tokens import SCOPES, Tokens
from tests.web.browsing import HERE, PASSWORD

NUMBERS = count()


def token_of(home: Home, name: str, role: str, *scopes: str) -> str:
    """A token of a person of a role, who is let in where they are not yet; all scopes by
    default."""
    people = People(home)
    if people.get(name) is None:
        people.enrol(people.invite(name, role, "the test"), "", PASSWORD)
    return Tokens(home, people).add("bridge", name, scopes or SCOPES, timedelta(days=9), "test")


def script(app: Any, token: str) -> TestClient:
    """A client that sends a token, as a program would."""
    return TestClient(app, base_url=f"{HERE}/api/v1/", headers={"authorization": f"Bearer {token}"})


def keyed(match: str = "*", key: str = "") -> dict[str, str]:
    """The headers of a request that changes something, under a key of its own."""
    return {"idempotency-key": key or f"key-{next(NUMBERS):06d}", "if-match": match}
