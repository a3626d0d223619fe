"""Requests of scripts: each happens once, however often it is sent. That it happened is kept in the
transaction in which it did, so that no crash comes between the two.

What it answered follows from the events it made, which never change: they are read again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from orchestration.errors import StockhouseError
from orchestration.ledger.schema import requests


class RepeatedError(StockhouseError):
    """The request has happened already; span: the sequence numbers after and up to which its
    events stand."""

    def __init__(self, span: tuple[int, int]) -> None:
        self.span = span
        super().__init__("this request has happened already")


class OtherRequestError(StockhouseError):
    """The key was used before, for something else."""


@dataclass(frozen=True)
class Request:
    """One request under a key: its name (of asker and key), what it says, and by which token it
    came."""

    request_id: str
    fingerprint: str
    token_id: str

    @classmethod
    def of(cls, asker: str, key: str, token_id: str, *said: bytes) -> Request:
        """The request of an asker under a key of theirs. said: all that it means, part by part."""
        return cls(_digest(asker.encode(), key.encode()), _digest(*said), token_id)


def _digest(*parts: bytes) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:" % len(part) + part)
    return whole.hexdigest()


def span_of(connection: sa.Connection, request: Request) -> tuple[int, int] | None:
    """Between which sequence numbers the events of a request stand; None where it has not happened.

    Raises OtherRequestError where its key was used for another one.
    """
    query = sa.select(requests).where(requests.c.request_id == request.request_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise OtherRequestError(
            f"this Idempotency-Key was used on {row.recorded_at[:10]} for another request; nothing "
            "was done: use a new key for a new request"
        )
    return row.after_seq, row.last_seq


def refuse_repeat(connection: sa.Connection, request: Request) -> None:
    """Raise RepeatedError where a request has happened already."""
    if (span := span_of(connection, request)) is not None:
        raise RepeatedError(span)


def keep(connection: sa.Connection, request: Request, after: int, last: int, at: str) -> None:
    """Note, in the transaction in which it happened, that it did."""
    row = {
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "token_id": request.token_id,
        "after_seq": after,
        "last_seq": last,
        "recorded_at": at,
    }
    connection.execute(sa.insert(requests), [row])
