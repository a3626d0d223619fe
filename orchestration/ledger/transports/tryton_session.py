"""A session in Tryton: who we are there, and calls of its models over JSON-RPC."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from models.procurement import exact_numbers
from models.procurement.codec import LARGEST
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import TransportError

#: HTTP answers after which the same call may be made again.
RETRY_STATUS = frozenset({408, 423, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Tryton:
    """A session: its address, and the company it works for."""

    client: httpx.AsyncClient
    address: str
    company: int = 0

    async def call(self, method: str, *params: Any) -> Any:
        """What a method of a model answers. Raises TransportError: final where Tryton refuses."""
        return await self._ask(f"model.{method}", [*params, {"company": self.company}])

    async def read(
        self, model: str, domain: Sequence[Any], fields: Sequence[str], newest: int | None = None
    ) -> list[Any]:
        """The records of a domain, the oldest first; only so many of the newest where a number is
        given."""
        way = "ASC" if newest is None else "DESC"
        asked = (domain, 0, newest, [["id", way]], ["id", *fields])
        found = await self.call(f"{model}.search_read", *asked)
        return list(found) if newest is None else list(found)[::-1]

    async def one(self, model: str, name: str, value: str, fields: Sequence[str] = ()) -> Any:
        """The one record with this value. Raises TransportError where there is none, or several."""
        found = await self.read(model, [[name, "=", value]], fields)
        if len(found) != 1:
            many = f"{len(found)} of" if found else "no"
            why = f"Tryton has {many} {model} whose {name} is {value!r}"
            raise TransportError(why, is_final=True)
        return found[0]

    async def _ask(self, method: str, params: Sequence[Any]) -> Any:
        asked = {"id": 0, "method": method, "params": params}
        async with self.client.stream("POST", self.address, json=asked) as answer:
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LARGEST:
                    raise TransportError(f"{method} answers with more than {LARGEST:,} bytes")
        if answer.status_code != 200:
            final = answer.status_code not in RETRY_STATUS
            raise TransportError(f"{method} was answered {answer.status_code}", final)
        try:
            said = json.loads(body, parse_float=str)
        except ValueError as error:
            raise TransportError(f"{method} was answered with no JSON") from error
        if not isinstance(said, dict) or said.get("error"):
            raise _refusal(method, said)
        return said.get("result")


def _refusal(method: str, said: Any) -> TransportError:
    """Why Tryton does not do it; somebody else's writing in the same moment passes."""
    words = said.get("error") if isinstance(said, dict) else said
    name = str(words[0]) if isinstance(words, list) and words else str(words)
    why = " ".join(str(words).split())[:300]
    is_passing = name.startswith(("ConcurrencyException", "database is locked"))
    return TransportError(f"Tryton refuses {method}: {why}", not is_passing)


@asynccontextmanager
async def session(partner: Partner) -> AsyncIterator[Tryton]:
    """A session under the partner's user and password, ended when it is not needed any more."""
    url = urlsplit(partner.address)
    scheme, user = url.scheme.removeprefix("tryton+"), unquote(url.username or "")
    host = url.netloc.rpartition("@")[2]
    address = f"{scheme}://{host}{url.path.rstrip('/')}/rpc/"
    async with httpx.AsyncClient(timeout=base.TIMEOUT_SECONDS) as client:
        tryton = Tryton(client, address)
        door = [user, {"password": base.secret_of(partner)}]
        number, key, *_ = await tryton._ask("common.db.login", door)
        mark = base64.b64encode(f"{user}:{number}:{key}".encode()).decode()
        client.headers["Authorization"] = f"Session {mark}"
        try:
            about = await tryton._ask("model.res.user.get_preferences", [True, {}])
            yield Tryton(client, address, about.get("company") or 0)
        finally:
            await tryton._ask("common.db.logout", [])


def plain(said: Any) -> str:
    """A value as Tryton's JSON has it, as the text of a cell."""
    if said is None:
        return ""
    if isinstance(said, dict):
        if said.get("__class__") == "date":
            return f"{said['year']:04d}-{said['month']:02d}-{said['day']:02d}"
        return str(said["decimal"])
    return exact_numbers.text(float(said))
