"""Tokens of scripts: state/desk/tokens.jsonl, lines added and never changed, readable by its owner
alone.

{event: added, token_id, name, person, scopes, hash (sha256), until, closings, at, by} · {event:
revoked, token_id, at, by}. A token acts as one person, never beyond that person's role, and ends
with their being let in no more. The token itself is shown once and kept nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from orchestration.errors import StockhouseError
from orchestration.home import Home, journal
from orchestration.web.people import People, Person

#: What a token may do, and the least role of the person it acts for.
SCOPES = {
    "read": "viewer",
    "exceptions:write": "planner",
    "overrides:write": "planner",
    "scenarios:write": "planner",
    "limits:write": "planner",
    "receipts:write": "planner",
    "invoices:write": "planner",
    "orders:write": "planner",
}
#: How a token looks: so that scanners for leaked secrets know one.
FORM = re.compile(r"shk_(?P<token_id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
LONGEST = timedelta(days=366)


class TokenError(StockhouseError):
    """A token cannot be made or ended as asked."""


@dataclass(frozen=True)
class Token:
    """One token as the desk knows it. closings: how often its person had been closed when it was
    made."""

    token_id: str
    name: str
    person: str
    scopes: tuple[str, ...]
    digest: str
    until: str
    closings: int
    at: str
    revoked_at: str = ""

    def trouble(self, person: Person | None, now: datetime) -> str:
        """Why the token lets nobody in now; empty where it does."""
        if self.revoked_at:
            return f"it was revoked on {self.revoked_at[:10]}"
        if now.isoformat() >= self.until:
            return f"it ended on {self.until[:10]}"
        if person is None or person.closings != self.closings:
            return f"{self.person} is let in no more"
        return ""


class Tokens:
    """The tokens of one home."""

    def __init__(self, home: Home, people: People) -> None:
        self.people = people
        self.path = home.state / "desk" / "tokens.jsonl"
        self.folded = journal.Folded(self.path, _fold)

    def all(self) -> list[Token]:
        """Every token there ever was, the oldest first."""
        return list(self.folded.now().values())

    def trouble(self, token: Token) -> str:
        """Why a token lets nobody in now; empty where it does."""
        return token.trouble(self.people.get(token.person), datetime.now(UTC))

    def add(
        self, name: str, person: str, scopes: Collection[str], lasts: timedelta, by: str
    ) -> str:
        """Make a token that acts as a person; returns it, for the one time it is seen.

        Raises TokenError for a person who is not let in, a scope beyond their role, or a token
        without an end.
        """
        known = self.people.get(person)
        if known is None:
            raise TokenError(
                f"nobody called '{person}' is let in at the desk: an admin invites them under "
                "/people"
            )
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise TokenError("give the token a name of 1 to 64 signs: what it is for")
        if not scopes or (unknown := sorted(set(scopes) - SCOPES.keys())):
            what = f"'{unknown[0]}' is no scope" if scopes else "say what the token may do"
            raise TokenError(f"{what}: --scope is one of {', '.join(SCOPES)}")
        for scope in scopes:
            if not known.may(SCOPES[scope]):
                raise TokenError(
                    f"{scope} needs a {SCOPES[scope]}, and {person} is a {known.role}: a token "
                    "never reaches further than its person"
                )
        if not timedelta(0) < lasts <= LONGEST:
            raise TokenError(f"a token lasts 1 to {LONGEST.days} days")
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        self._append(
            {
                "event": "added",
                "token_id": token_id,
                "name": name.strip(),
                "person": known.name,
                "scopes": sorted(set(scopes)),
                "hash": _digest(secret),
                "until": (now + lasts).isoformat(timespec="seconds"),
                "closings": known.closings,
                "by": by,
            }
        )
        return f"shk_{token_id}_{secret}"

    def revoke(self, token_id: str, by: str) -> Token:
        """End a token at once. Raises TokenError for one that is not there."""
        found = self.folded.now().get(token_id)
        if found is None:
            raise TokenError(f"there is no token {token_id}; `stockhouse token list` shows them")
        if not found.revoked_at:
            self._append({"event": "revoked", "token_id": token_id, "by": by})
        return self.folded.now()[token_id]

    def holder(self, said: str) -> tuple[Token, Person] | None:
        """The token that is said, and whom it acts for now; None where it lets nobody in."""
        form = FORM.fullmatch(said)
        found = self.folded.now().get(form["token_id"]) if form else None
        if form is None or found is None:
            return None
        if not hmac.compare_digest(found.digest, _digest(form["secret"])):
            return None
        person = self.people.get(found.person)
        if person is None or found.trouble(person, datetime.now(UTC)):
            return None
        return found, person

    def _append(self, event: dict[str, object]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with journal.appending(self.path) as (_, append):
            append(event | {"at": datetime.now(UTC).isoformat(timespec="seconds")})


def _fold(content: bytes) -> dict[str, Token]:
    found: dict[str, Token] = {}
    for line in content.splitlines():
        said = json.loads(line)
        if said["event"] == "added":
            found[said["token_id"]] = Token(
                said["token_id"],
                said["name"],
                said["person"],
                tuple(said["scopes"]),
                said["hash"],
                said["until"],
                said["closings"],
                said["at"],
            )
        elif said["event"] == "revoked":
            found[said["token_id"]] = replace(found[said["token_id"]], revoked_at=said["at"])
    return found


def _digest(secret: str) -> str:
    """A secret of 256 random bits needs no slow hash: nobody guesses it."""
    return hashlib.sha256(secret.encode()).hexdigest()
