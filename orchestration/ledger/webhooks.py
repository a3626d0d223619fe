"""Order events told to whoever subscribed to them: signed, in order, until they have arrived.

Each subscriber has a place in the ledger's events, kept in the ledger: what was not known to have
arrived before a crash is told again, under the same id, by which the receiver knows a repeat. The
form is Standard Webhooks' (webhook-id, webhook-timestamp, webhook-signature).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import sqlalchemy as sa
import yaml

from models.procurement.documents import Document
from models.safe_names import legible
from orchestration.home.addresses import is_private
from orchestration.ledger.schema import documents, events, webhooks
from orchestration.ledger.store import LedgerError, Store, stamp

#: Where a home says who subscribed.
FILE = "webhooks.yml"
#: What is told, by the kind of event in the ledger.
TYPES = {
    "requested": "order.created",
    "revised": "order.revised",
    "withdrawn": "order.withdrawn",
    "approved": "order.approved",
    "rejected": "order.rejected",
    "changed": "order.changed",
    "cancelled": "order.cancelled",
    "sent": "order.sent",
    "acknowledged": "order.confirmed",
    "shipped": "order.shipped",
    "received": "order.received",
    "invoiced": "order.billed",
    "credited": "order.credited",
    "payment_proposed": "order.paid",
    "excepted": "order.exception",
    "chased": "order.exception",
    "undelivered": "order.exception",
}
#: One message has this long; one subscriber this long in one round; then its next round.
TIMEOUT_SECONDS, PATIENCE_SECONDS = 10.0, 10.0
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
CLAIM = timedelta(seconds=60)
BATCH, AT_ONCE = 100, 64
#: Events that concern nobody may lie behind a subscriber's place before it is moved.
LAG = 1_000
MONEY = ("unit_cost", "rounding")


@dataclass(frozen=True)
class Subscriber:
    """Who is told, where, of what (TYPES; all where none is named), and which environment variable
    holds the secret that signs."""

    name: str
    url: str
    secret: str
    events: tuple[str, ...] = ()

    @property
    def kinds(self) -> list[str]:
        """The kinds of event in the ledger that concern this subscriber."""
        return [kind for kind, told in TYPES.items() if not self.events or told in self.events]


@dataclass(frozen=True)
class Told:
    """How a round went with one subscriber: messages that arrived, and what kept the next one."""

    arrived: int = 0
    trouble: str = ""


class UndeliveredError(LedgerError):
    """A message did not arrive, or nobody can tell."""


def read_subscribers(folder: Path) -> list[Subscriber]:
    """Whom a home tells, of FILE in a folder; nobody where there is none. Raises LedgerError naming
    the entry that cannot be read."""
    file = folder / FILE
    if not file.exists():
        return []
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LedgerError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise LedgerError(f"{file}: it maps names of subscribers to url, secret and events")
    return [_subscriber(str(name), said, file) for name, said in content.items()]


def _subscriber(name: str, said: Any, file: Path) -> Subscriber:
    where = f"{file}, {name}"
    words = [one.name for one in fields(Subscriber) if one.name != "name"]
    if not isinstance(said, Mapping) or not {"url", "secret"} <= said.keys() <= set(words):
        raise LedgerError(f"{where}: it is {{url: …, secret: VARIABLE, events: [order.sent, …]}}")
    wanted, secret = said.get("events", []), said["secret"]
    if not isinstance(wanted, list) or (
        odd := [one for one in wanted if one not in TYPES.values()]
    ):
        known = ", ".join(dict.fromkeys(TYPES.values()))
        raise LedgerError(f"{where}: events is a list of {known}, not {wanted and odd[0]!r}")
    if not isinstance(secret, str) or not secret.isidentifier() or len(name) > 64:
        raise LedgerError(f"{where}: secret names a variable of the environment")
    try:
        url = httpx.URL(said["url"])
    except (TypeError, httpx.InvalidURL) as error:
        raise LedgerError(f"{where}: its url cannot be read: {error}") from error
    if (
        not url.host
        or url.userinfo
        or url.scheme not in ("http", "https")
        or not is_private(str(url))
    ):
        raise LedgerError(
            f"{where}: its url begins with https:// (http:// only for this machine) and has no "
            "password in it"
        )
    return Subscriber(name, str(url), secret, tuple(wanted))


class Teller:
    """Tells subscribers, each in a thread of its own: a slow one keeps nobody waiting."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook")
        self.under_way: dict[str, Future[Told]] = {}

    def start(self, subscribers: Sequence[Subscriber]) -> None:
        """Begin a round with everyone for whom something waits and none is under way."""
        for one in subscribers:
            if one.name not in self.under_way and _is_due(self.store, one):
                self.under_way[one.name] = self.pool.submit(_round, self.store, one)

    def ended(self, *, wait: bool = False) -> dict[str, Told]:
        """How the rounds went that have ended, or, waiting for them, all that were begun."""
        ended = {
            name: future.result()
            for name, future in self.under_way.items()
            if wait or future.done()
        }
        for name in ended:
            del self.under_way[name]
        return ended

    def close(self) -> None:
        """Begin nothing more; what is under way is let finish, or told again another time."""
        self.pool.shutdown(wait=False, cancel_futures=True)


def begin(store: Store, subscribers: Sequence[Subscriber]) -> None:
    """Give new subscribers their place: they are told what happens from now on."""
    for one in subscribers:
        if _row(store, one) is None:
            _claim(store, one)


def notify(store: Store, subscribers: Sequence[Subscriber]) -> dict[str, Told]:
    """Tell every subscriber what happened since, each on its own; done after PATIENCE_SECONDS and
    one message more at the latest."""
    teller = Teller(store)
    try:
        teller.start(subscribers)
        return teller.ended(wait=True)
    finally:
        teller.close()


def standing(store: Store, subscribers: Sequence[Subscriber]) -> list[dict[str, Any]]:
    """How far each subscriber was told: waiting events, attempts at the next one, when it is tried
    again, and what kept it."""
    found = []
    for one in subscribers:
        row = _row(store, one)
        after = row.after_seq if row else _last(store)
        query = sa.select(sa.func.count()).where(events.c.seq > after, events.c.kind.in_(one.kinds))
        found.append(
            {
                "name": one.name,
                "url": one.url,
                "events": list(one.events) or sorted(set(TYPES.values())),
                "waiting": int(store.read(query)[0][0]),
                "attempts": row.attempts if row else 0,
                "next_at": row.next_at if row else "",
                "last_error": row.last_error if row else "",
            }
        )
    return found


def _row(store: Store, one: Subscriber) -> sa.Row[Any] | None:
    return next(iter(store.read(sa.select(webhooks).where(webhooks.c.name == one.name))), None)


def _last(store: Store) -> int:
    return int(store.read(sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0)))[0][0])


def _is_due(store: Store, one: Subscriber) -> bool:
    """Whether there is something to tell, or a place to be made; nothing is written to see that."""
    row = _row(store, one)
    if row is None:
        return True
    if _is_ahead(row.next_at):
        return False
    last = _last(store)
    if last - row.after_seq > LAG:
        return True
    query = sa.select(events.c.seq).where(
        events.c.seq > row.after_seq, events.c.kind.in_(one.kinds)
    )
    return bool(store.read(query.limit(1)))


def _is_ahead(at: str) -> bool:
    """Whether a time is still to come; one further away than any wait is a clock's that was set
    back."""
    now = datetime.now(UTC)
    return stamp(now) < at <= stamp(now + LONGEST_WAIT)


def _round(store: Store, one: Subscriber) -> Told:
    """Tell one subscriber what waits, in order, until something keeps it or its time is over."""
    began, arrived = monotonic(), 0
    after = _claim(store, one)
    if after is None:
        return Told()
    try:
        key = _key(one)
        while monotonic() - began < PATIENCE_SECONDS:
            last, batch = _last(store), _batch(store, one, after)
            if not batch:
                if last > after:
                    _move(store, one, last)
                break
            about = {line.document_id: line for line in _lines(store, batch)}
            for row in batch:
                _deliver(one, key, row, about.get(row.document_id))
                _move(store, one, row.seq)
                after, arrived = row.seq, arrived + 1
                if monotonic() - began >= PATIENCE_SECONDS:
                    break
    except UndeliveredError as error:
        _rest(store, one, str(error))
        return Told(arrived, str(error))
    _change(store, one, claimed_until="")
    return Told(arrived)


def _claim(store: Store, one: Subscriber) -> int | None:
    """The place of a subscriber, claimed for this worker; None where another one has it. A new
    subscriber begins with what happens from now on."""
    with store.locked() as connection:
        query = sa.select(webhooks).where(webhooks.c.name == one.name)
        row = connection.execute(query).first()
        if row is None:
            last = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0)))
            fresh = {"after_seq": last, "attempts": 0, "next_at": "", "last_error": ""}
            connection.execute(
                sa.insert(webhooks), [fresh | {"name": one.name, "claimed_until": ""}]
            )
            return None
        if _is_ahead(row.claimed_until):
            return None
        until = stamp(datetime.now(UTC) + CLAIM)
        connection.execute(
            sa.update(webhooks).where(webhooks.c.name == one.name).values(claimed_until=until)
        )
        return int(row.after_seq)


def _batch(store: Store, one: Subscriber, after: int) -> list[sa.Row[Any]]:
    query = sa.select(events).where(events.c.seq > after, events.c.kind.in_(one.kinds))
    return store.read(query.order_by(events.c.seq).limit(BATCH))


def _lines(store: Store, batch: Sequence[sa.Row[Any]]) -> list[Document]:
    return store.lines(documents.c.document_id.in_({row.document_id for row in batch}))


def _move(store: Store, one: Subscriber, seq: int) -> None:
    """Note how far a subscriber was told; the claim lasts on while it reads."""
    until = stamp(datetime.now(UTC) + CLAIM)
    _change(store, one, after_seq=seq, attempts=0, next_at="", last_error="", claimed_until=until)


def _rest(store: Store, one: Subscriber, why: str) -> None:
    """Let a subscriber rest, twice as long after each failure; nothing is ever given up."""
    row = _row(store, one)
    attempts = (row.attempts if row else 0) + 1
    wait = min(FIRST_WAIT * 2 ** min(attempts - 1, 20), LONGEST_WAIT)
    next_at = stamp(datetime.now(UTC) + wait)
    _change(
        store,
        one,
        attempts=attempts,
        next_at=next_at,
        last_error=legible(why, 500),
        claimed_until="",
    )


def _change(store: Store, one: Subscriber, **values: Any) -> None:
    with store.locked() as connection:
        connection.execute(sa.update(webhooks).where(webhooks.c.name == one.name).values(**values))


def _key(one: Subscriber) -> bytes:
    """The key that signs, of the environment. Raises UndeliveredError where there is none."""
    said = os.environ.get(one.secret, "")
    try:
        key = base64.b64decode(said.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not said.startswith("whsec_") or len(key) < 24:
        raise UndeliveredError(
            f"the environment variable {one.secret} holds no secret: it is whsec_ and at least 24 "
            "random bytes in base64"
        )
    return key


def message(row: Any, line: Document | None) -> bytes:
    """What is told of an event: its type, when, and about which line; its own words as they were
    recorded, money as decimal text."""
    said = {
        name: format(Decimal(repr(value)).normalize(), "f")
        if name in MONEY and isinstance(value, float)
        else value
        for name, value in json.loads(row.payload).items()
    }
    names = ("kind", "item_id", "location_id", "from_id", "order_id", "line_id")
    data = {name: getattr(line, name) if line else "" for name in names}
    data |= {"document_id": row.document_id, "version": row.version, "seq": row.seq}
    told = {
        "type": TYPES[row.kind],
        "timestamp": f"{row.recorded_at}Z",
        "data": data | {"event": row.kind, "actor": row.actor, "said": said},
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def headers(key: bytes, event_hash: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of a message: its id (of the event, the same at every attempt), the time of this
    attempt, and the signature over both and the body."""
    name, moment = f"evt_{event_hash[:32]}", str(int(at.timestamp()))
    signed = b".".join((name.encode(), moment.encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{signature}",
    }


def _deliver(one: Subscriber, key: bytes, row: sa.Row[Any], line: Document | None) -> None:
    """Hand one message over. Raises UndeliveredError where it cannot be known to have arrived."""
    body = message(row, line)
    try:
        status = asyncio.run(_post(one.url, body, headers(key, row.hash, datetime.now(UTC), body)))
    except TimeoutError as error:
        raise UndeliveredError(f"{one.name} took more than {TIMEOUT_SECONDS:g} s") from error
    except httpx.HTTPError as error:
        why = legible(str(error) or type(error).__name__)
        raise UndeliveredError(f"{one.name} was not reached: {why}") from error
    if not 200 <= status < 300:
        raise UndeliveredError(f"{one.name} answered {status}")


async def _post(url: str, body: bytes, said: dict[str, str]) -> int:
    """The status of the answer; what it says is not read."""
    async with (
        asyncio.timeout(TIMEOUT_SECONDS),
        httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client,
        client.stream("POST", url, content=body, headers=said) as answer,
    ):
        return answer.status_code
