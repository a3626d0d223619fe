"""What a contract may say under `database:`, `url:` and `stream:`, checked before anything is asked
of another system.

A text may name environment variables as `${SHOP_TOKEN}`; secrets live there and nowhere else.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from orchestration.home.addresses import is_private
from orchestration.landing import ContractError, World
from orchestration.landing.contract.world import Strict, Words

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
SECRETS = re.compile(r"authorization|cookie|api[-_]?key|token|secret|password", re.IGNORECASE)
#: Why nothing is asked of a server.
IN_THE_CLEAR = (
    "its login would cross the network in the clear: beyond this machine the address is encrypted, "
    "as https:// is"
)
MIB = 1 << 20


def _no_secret_in_url(url: str) -> str:
    """A password stands in the environment, never in a contract; one bare word (a server without a
    scheme) is no URL."""
    bare = VARIABLE.sub("x", url)
    if VARIABLE.match(url) is None and "://" not in bare:
        raise ValueError("is no URL")
    password = re.search(r"://[^/@]*:([^/@]+)@", url)
    if password and not VARIABLE.fullmatch(password[1]):
        raise ValueError("has a password in it; name an environment variable instead: ${SHOP_URL}")
    return url


class Database(Strict):
    """A table or a query of a SQL database; with `cursor`, only what is at or after the last value
    seen.

    overlap: how far before the last value to read again (seconds for times, units for numbers), for
    rows that commit late.
    stamp: give every row `_pulled_at` (UTC), for tables that do not say when; then every pull is a
    delivery.
    """

    url: str
    """Where the database is; its password stands in the environment: ${SHOP_URL}."""
    table: str | None = None
    """`orders` or `schema.orders`."""
    query: str | None = None
    """A query instead of a table."""
    cursor: str | None = None
    """The column that grows: only what is at or after its last value is asked for."""
    overlap: float = Field(default=0, ge=0)
    """How far before the last value to read again: seconds for times, units for numbers."""
    batch_rows: int = Field(default=50_000, ge=1, le=1_000_000)
    """Rows fetched at a time."""
    stamp: bool = False
    """Give every row `_pulled_at` (UTC)."""

    _url = field_validator("url")(_no_secret_in_url)

    @model_validator(mode="after")
    def _one_relation(self) -> Database:
        if (self.table is None) == (self.query is None):
            raise ValueError("give table or query, exactly one")
        return self


class Page(Strict):
    """How an API is paged: by `number` (the parameter's name), by `next` (dotted way to the next
    URL, or `link` for the Link header), by `cursor` (dotted way to the next value) sent back as
    `param`, or by `after`: the field of which the next page holds larger values, said where the
    question has `$after`. The last skips and repeats nothing, whatever is written meanwhile."""

    number: str | None = None
    """The parameter that counts pages."""
    first: int = 1
    """The first page's number."""
    size: str | None = None
    """The parameter that says how many rows a page has."""
    rows: int | None = Field(default=None, ge=1)
    """Rows a page."""
    next: str | None = None
    """The dotted way to the next page's address."""
    cursor: str | None = None
    """The dotted way to the next page's cursor."""
    param: str | None = None
    """The parameter that carries the cursor."""
    after: str | None = None
    """The field that pages go on by, such as `id`; the question has `$after`, and `$rows`."""
    start: str | int = 0
    """What `$after` is on the first page."""

    @model_validator(mode="after")
    def _one_way(self) -> Page:
        ways = (self.number, self.next, self.cursor, self.after)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give number, next, cursor or after, exactly one")
        if self.after is not None and self.rows is None:
            raise ValueError("after needs rows: a page with fewer is the last")
        if (self.cursor is None) != (self.param is None):
            raise ValueError("cursor and param belong together")
        if self.size is not None and self.rows is None:
            raise ValueError("size names a parameter; rows says its value")
        return self


class Since(Strict):
    """Ask only for what changed: the largest `field` seen (ISO times or numbers) is sent as
    parameter `param`, or said where the question has `$since`."""

    param: str | None = None
    """The parameter that carries it; left out, the question has `$since`."""
    field: Words
    """The field whose largest value is sent; of several, the largest of any."""
    start: str | int | None = None
    """What `$since` is at first."""
    overlap: float = Field(default=0, ge=0)
    """How far before the last value to ask again (seconds for times, units for numbers), for rows
    that commit late."""

    @field_validator("field", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_way(self) -> Since:
        if (self.param is None) == (self.start is None):
            raise ValueError("give param, or start for a question with $since, exactly one")
        return self


class Gone(Strict):
    """Rows deleted there: after each pull those that are left are asked for, and one that is
    missing is handed over once more as it last was, with the time in `_deleted_at` (UTC; empty in
    all other rows). The question is the same without `since`, or the one said here."""

    key: str
    """The field that names a row."""
    body: Any = None
    """The question for the keys that are left."""
    params: dict[str, str | int] | None = None
    """The parameters of that question."""


class Login(Strict):
    """Basic authentication."""

    user: str
    """Who asks."""
    password: str
    """${VARIABLE} with the password."""

    @field_validator("password")
    @classmethod
    def _named_secret(cls, value: str) -> str:
        if not VARIABLE.fullmatch(value):
            raise ValueError("the password stands in the environment: ${ERP_PASSWORD}")
        return value


class Rest(Strict):
    """An HTTP API that answers GET, or POST of a JSON body, with JSON; `records` is the dotted way
    to the list of rows in each answer. An answer with an `error` and no rows is none (JSON-RPC).

    stamp: give every row `_pulled_at` (UTC), for answers that do not say when; then every pull is a
    delivery.
    """

    get: str | None = None
    """The address."""
    post: str | None = None
    """The address, where questions are a body."""
    body: Any = None
    """The question as JSON; `$since`, `$after` and `$rows` in it, as in params, are replaced."""
    login: Login | None = None
    """Who asks, where the API wants a name and a password."""
    headers: dict[str, str] = Field(default={})
    """Sent with every request; secrets as ${SHOP_TOKEN}."""
    params: dict[str, str | int] = Field(default={})
    """Parameters of every request."""
    records: str | None = None
    """The dotted way to the list of rows."""
    page: Page | None = None
    """How pages follow."""
    since: Since | None = None
    """Ask for changes only."""
    gone: Gone | None = None
    """Notice what is deleted."""
    relations: Literal["nested", "pairs"] | None = None
    """How rows name what they refer to: `nested` objects, of which each field becomes a column
    `party.code` (and typed values, `__class__`, their text); or `pairs` of id and name, which
    become the columns `partner_id` and `partner_id.name`, `false` being nothing there."""
    stamp: bool = False
    """Give every row `_pulled_at` (UTC)."""
    per_second: float | None = Field(default=None, gt=0)
    """Requests a second at most."""
    timeout_seconds: float = Field(default=30, gt=0, le=600)
    """How long an answer may take."""
    attempts: int = Field(default=6, ge=1, le=20)
    """How often a request is tried."""
    wait_seconds: float = Field(default=1, ge=0)
    """Before the second attempt; it doubles."""
    longest_wait_seconds: float = Field(default=300, gt=0)
    """The longest pause between attempts."""
    most_bytes: int = Field(default=64 * MIB, ge=1)
    """Of one answer."""
    most_pages: int = Field(default=10_000, ge=1)
    """Of one pull."""

    @field_validator("get", "post")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        return url if url is None else _no_secret_in_url(url)

    @model_validator(mode="after")
    def _one_question(self) -> Rest:
        if (self.get is None) == (self.post is None):
            raise ValueError("give get or post, exactly one")
        if (self.post is None) != (self.body is None):
            raise ValueError("post and body belong together")
        said = json.dumps([self.params, self.body])
        needed = {"$since": self.since is not None and self.since.param is None}
        needed |= {"$after": self.page is not None and self.page.after is not None}
        for word, is_needed in needed.items():
            if (word in said) != is_needed:
                kind = "lacks" if is_needed else "has"
                where = "since" if word == "$since" else "page.after"
                raise ValueError(f"the question {kind} {word}, which belongs to `{where}`")
        return self

    @property
    def address(self) -> str:
        """Where the API is."""
        return self.get or self.post or ""

    def would_expose_secrets(self, url: str) -> bool:
        """Whether a question to this address would carry a secret that others on the way can
        read."""
        said = [*self.headers.values(), *self.params.values()]
        is_secret = self.login is not None or any(VARIABLE.search(str(one)) for one in said)
        return is_secret and not is_private(url)

    @model_validator(mode="after")
    def _secrets_are_encrypted(self) -> Rest:
        if not VARIABLE.search(self.address) and self.would_expose_secrets(self.address):
            raise ValueError(IN_THE_CLEAR)
        return self

    @model_validator(mode="after")
    def _secrets_are_named(self) -> Rest:
        for name, value in [*self.headers.items(), *self.params.items()]:
            if SECRETS.search(name) and not VARIABLE.search(str(value)):
                raise ValueError(
                    f"{name} is a secret; name an environment variable: ${{SHOP_TOKEN}}"
                )
        return self


class Nats(Strict):
    """A NATS JetStream stream read by a durable pull consumer."""

    nats: str
    """The server's address."""
    stream: str
    """The stream's name."""
    subject: str
    """The subject listened to."""
    durable: str = "stockhouse"
    """The consumer's name, which the server remembers."""
    message_id: str | None = None
    """A field of the body; else the Nats-Msg-Id header, else stream and sequence."""
    ack_wait_seconds: float = Field(default=30, gt=0)
    """How long a message may be worked on."""
    batch: int = Field(default=500, ge=1, le=10_000)
    """Messages fetched at a time."""

    _nats = field_validator("nats")(_no_secret_in_url)


class Mqtt(Strict):
    """An MQTT topic filter read at QoS 1 in a session that the broker keeps while we are away."""

    mqtt: str
    """The broker's address."""
    topic: str
    """The topic filter listened to."""
    client_id: str = Field(min_length=1)
    """The session's name, which the broker remembers."""
    message_id: str
    """A field of the body: MQTT itself has no lasting id."""
    batch: int = Field(default=500, ge=1, le=10_000)
    """Messages written at a time."""

    _mqtt = field_validator("mqtt")(_no_secret_in_url)


class Webhook(Strict):
    """Signed POST requests. The signature is HMAC-SHA256 of the body in hex, with or without
    `sha256=` before it."""

    webhook: str
    """${VARIABLE} with the secret that signs requests."""
    message_id: str | None = None
    """A field of the body, which is signed; else the body's own hash."""
    signature: str = "X-Signature-256"
    """The header with the signature."""
    most_bytes: int = Field(default=MIB, ge=1)
    """Of one request."""

    @field_validator("webhook")
    @classmethod
    def _named_secret(cls, value: str) -> str:
        if not VARIABLE.fullmatch(value):
            raise ValueError(
                "the secret stands in the environment: webhook: ${SHOP_WEBHOOK_SECRET}"
            )
        return value


class Folder(Strict):
    """A watched folder: `drop` inside the source's inbox, or the one an environment variable
    names."""

    folder: str = "drop"
    """The folder in the source's inbox, or ${VARIABLE} with its path."""
    settle_seconds: float = Field(default=2, ge=0)
    """A file untouched for so long is finished."""

    @field_validator("folder")
    @classmethod
    def _named_folder(cls, value: str) -> str:
        if value != "drop" and not VARIABLE.fullmatch(value):
            raise ValueError("is `drop`, or an environment variable: ${SHOP_DROPS}")
        return value


Stream = Nats | Mqtt | Webhook | Folder
STREAMS: dict[str, type[Strict]] = {
    "nats": Nats,
    "mqtt": Mqtt,
    "webhook": Webhook,
    "folder": Folder,
}
Options = TypeVar("Options", bound=Strict)


def database_of(world: World, source_id: str) -> Database:
    """The checked options of a `database:` source; a bare URL reads the table that is called as the
    source."""
    said = world.sources[source_id].database
    return _checked(
        world,
        source_id,
        "database",
        Database,
        {"url": said, "table": source_id} if isinstance(said, str) else said,
    )


def rest_of(world: World, source_id: str) -> Rest:
    """The checked options of a `url:` source; a bare URL answers with all rows at once."""
    said = world.sources[source_id].url
    return _checked(world, source_id, "url", Rest, {"get": said} if isinstance(said, str) else said)


def stream_of(world: World, source_id: str) -> Stream:
    """The checked options of a `stream:` source; the bare word `folder` is the watched folder of
    the home."""
    said = world.sources[source_id].stream
    if said == "folder":
        return Folder()
    kinds = [kind for kind in STREAMS if isinstance(said, dict) and kind in said]
    if len(kinds) != 1:
        raise ContractError(
            "a stream is `folder` or a mapping with one of nats, mqtt, webhook, folder",
            where=world.where("sources", source_id, "stream"),
        )
    return _checked(world, source_id, "stream", STREAMS[kinds[0]], said)  # type: ignore[return-value]


def check_intake(world: World) -> dict[str, Literal["database", "url", "stream"]]:
    """Check the options of every source that is no file; which source came how. Raises
    ContractError; opens no connection."""
    found: dict[str, Literal["database", "url", "stream"]] = {}
    for source_id, source in world.sources.items():
        if source.database is not None:
            database_of(world, source_id)
            found[source_id] = "database"
        elif source.url is not None:
            rest_of(world, source_id)
            found[source_id] = "url"
        elif source.stream is not None:
            stream_of(world, source_id)
            found[source_id] = "stream"
        if found.get(source_id) in ("database", "url") and source.key is None:
            raise ContractError(
                "is pulled again and again, so its rows need a `key`",
                where=world.where("sources", source_id),
                mend="`identity: row` would count a row once per pull",
            )
    return found


def resolve(text: str, where: str) -> str:
    """The text with every `${VARIABLE}` replaced; ContractError where one is unset."""

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if not found:
            raise ContractError(
                f"the environment variable {match[1]} is not set",
                where=where,
                mend=f"export {match[1]}=…",
            )
        return found

    return VARIABLE.sub(value, text)


def server(text: str, where: str) -> str:
    """A server's address with every `${VARIABLE}` replaced; ContractError where one is unset, or a
    password in it would cross the network in the clear."""
    url = resolve(text, where)
    if urlsplit(url).password and not is_private(url):
        mend = "tls://… for NATS, mqtts://… for MQTT"
        raise ContractError(IN_THE_CLEAR, where=where, mend=mend)
    return url


def host_of(url: str, default_port: int) -> tuple[str, int, str | None, str | None]:
    """Host, port, user and password of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or default_port, parts.username, parts.password


def _checked(world: World, source_id: str, word: str, model: type[Options], said: Any) -> Options:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        what = re.sub(r"^Value error, ", "", first["msg"])
        if first["type"] == "extra_forbidden":
            what = f"`{first['loc'][-1]}` is no word of the grammar here"
        known = ", ".join(sorted(model.model_fields))
        raise ContractError(
            what,
            where=world.where("sources", source_id, word, *first["loc"]),
            mend=f"known words: {known}",
        ) from None
