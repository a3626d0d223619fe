"""Who may sign in, and as what: state/desk/people.jsonl, lines added and never changed, readable by
its owner alone.

{event: invited, name, role, link (sha256), until, by} · {event: enrolled, name, link, hash} ·
{event: vouched, name, role, identity} · {event: role, name, role, by} · {event: closed, name, by} ·
{event: left, name}: every one of them ends the sessions of that person. Who comes in does so by a
password or by the identity provider's word, the last that was agreed. Passwords are kept as
argon2id hashes and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from models.procurement.actors import is_same, person
from orchestration.errors import StockhouseError
from orchestration.home import Home, journal

#: What a person may do; each may do what those before it may.
ROLES = ("viewer", "planner", "approver", "admin")
LINK_LASTS = timedelta(days=3)
LEAST, MOST = 12, 200
#: Two passwords are checked at a time: each takes 64 MiB while it is.
CHECKING = BoundedSemaphore(2)


class PeopleError(StockhouseError):
    """Somebody cannot be let in, or made known, as asked."""


@dataclass(frozen=True)
class Person:
    """One person as the desk knows them. identity: who they are to the identity provider, instead
    of a password; epoch: how often their sessions were ended; closings: how often they were let in
    no more."""

    name: str
    role: str
    secret: str = ""
    link: str = ""
    until: str = ""
    epoch: int = 0
    is_closed: bool = False
    closings: int = 0
    identity: str = ""

    def may(self, role: str) -> bool:
        """Whether this person's role is the asked one or higher."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def is_enrolled(self) -> bool:
        """Whether they have a way in, and nobody has closed their account."""
        return bool(self.secret or self.identity) and not self.is_closed


class People:
    """The people of one home."""

    def __init__(self, home: Home) -> None:
        self.path = home.state / "desk" / "people.jsonl"
        self.folded = journal.Folded(self.path, _fold)

    def all(self) -> dict[str, Person]:
        """Everyone, by name."""
        return dict(self.folded.now())

    def get(self, name: str) -> Person | None:
        """The enrolled person of this name."""
        found = self.folded.now().get(name)
        return found if found and found.is_enrolled else None

    def first_link(self) -> str | None:
        """A link for the first admin, who names themselves; None once somebody can sign in."""
        if any(one.is_enrolled and one.may("admin") for one in self.all().values()):
            return None
        return self._invite("", "admin", "stockhouse")

    def invite(self, name: str, role: str, by: str) -> str:
        """Make a person known; returns the secret of the one link by which they set a password.

        Raises ValueError for a name no person has, or that an eye takes for another's.
        """
        if role not in ROLES:
            raise ValueError(f"there is no role '{role}'; there are {', '.join(ROLES)}")
        spelt = person(name)
        self._check_unlike(spelt, self.all())
        return self._invite(spelt, role, by)

    def _check_unlike(self, spelt: str, everyone: Collection[str]) -> None:
        if alike := [other for other in everyone if other != spelt and is_same(spelt, other)]:
            raise ValueError(f"'{spelt}' looks like {alike[0]}, who is known here already")

    def _invite(self, name: str, role: str, by: str) -> str:
        secret = secrets.token_urlsafe(24)
        until = (datetime.now(UTC) + LINK_LASTS).isoformat(timespec="seconds")
        event = {"name": name, "role": role, "link": _digest(secret), "until": until, "by": by}
        self._append("invited", event)
        return secret

    def invited(self, secret: str) -> Person | None:
        """Whom a link is for; None where it was used, replaced or is too old."""
        digest, now = _digest(secret), datetime.now(UTC).isoformat(timespec="seconds")
        return next((p for p in self.all().values() if p.link == digest and p.until > now), None)

    def enrol(self, secret: str, name: str, password: str) -> Person:
        """Use up a link: set the password (and, for the first admin, the name).

        Raises PeopleError for a link that is over and ValueError for a name or password that will
        not do.
        """
        asked = self.invited(secret)
        if asked is None:
            raise PeopleError("this link is over: it was used, replaced, or is older than 3 days")
        spelt = asked.name or person(name)
        check_password(password, spelt)
        with CHECKING:
            kept = _hasher().hash(password)
        self._append("enrolled", {"name": spelt, "link": _digest(secret), "hash": kept})
        return self.all()[spelt]

    def check(self, name: str, password: str) -> Person | None:
        """The person who signs in so; None for a wrong name or password, in the same time."""
        try:
            found = self.get(person(name))
        except ValueError:
            found = None
        kept = found.secret if found else ""
        with CHECKING:
            is_right = _verify(kept or _nobody(), password[:MOST])
        return found if is_right and kept else None

    def arrive(self, identity: str, name: str, role: str) -> Person:
        """The person that an identity provider vouches for, with the role it gives them now.

        Who comes for the first time is made known, under a name that nobody has; a name that is
        known here is theirs once an admin has made a new link for it. Raises PeopleError for
        somebody else's name or a closed account, ValueError for what is no person's name.
        """
        everyone = self.all()
        known = next((one for one in everyone.values() if one.identity == identity), None)
        if known is None:
            spelt = person(name)
            known = everyone.get(spelt, Person(spelt, role))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            if spelt in everyone and not (known.link and known.until > now):
                raise PeopleError(
                    f"{spelt} is known here already, and comes in another way: an admin makes a "
                    "new link for that name if it is you"
                )
            self._check_unlike(spelt, everyone)
            self._append("vouched", {"name": spelt, "role": role, "identity": identity})
        elif known.is_closed:
            raise PeopleError(f"{known.name} is let in no more: ask an admin")
        elif known.role != role:
            self._append("role", {"name": known.name, "role": role, "by": "identity provider"})
        return self.all()[known.name]

    def set_role(self, name: str, role: str, by: str) -> None:
        """Give a person another role. Raises PeopleError where no admin would be left."""
        if role not in ROLES:
            raise ValueError(f"there is no role '{role}'; there are {', '.join(ROLES)}")
        self._leave_an_admin(name, role)
        self._append("role", {"name": name, "role": role, "by": by})

    def close(self, name: str, by: str) -> None:
        """Let somebody in no more. Raises PeopleError where no admin would be left."""
        self._leave_an_admin(name, "viewer")
        self._append("closed", {"name": name, "by": by})

    def sign_out(self, name: str) -> None:
        """End every session of a person."""
        self._append("left", {"name": name})

    def _leave_an_admin(self, name: str, role: str) -> None:
        everyone = self.all()
        if name not in everyone:
            raise PeopleError(f"nobody here is called '{name}'")
        others = [p for p in everyone.values() if p.name != name and p.is_enrolled]
        if role != "admin" and not any(p.may("admin") for p in others):
            raise PeopleError(f"{name} is the only admin: make another one first")

    def _append(self, event: str, said: Mapping[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with journal.appending(self.path) as (content, append):
            if event == "enrolled" and not _is_open(content, said["link"]):
                raise PeopleError("this link was used meanwhile")
            if event == "vouched" and _comes_otherwise(content, said["name"]):
                raise PeopleError(f"{said['name']} came in another way meanwhile")
            append({"event": event, **said, "at": datetime.now(UTC).isoformat(timespec="seconds")})


def check_password(password: str, name: str) -> None:
    """Refuse what is guessed first. Raises ValueError that says why."""
    if not LEAST <= len(password) <= MOST:
        raise ValueError(f"a password has {LEAST} to {MOST} characters; a sentence is a good one")
    if len(set(password)) < 5 or name.casefold() in password.casefold():
        raise ValueError("choose a password without your name, and of more than a few signs")


def _fold(content: bytes) -> dict[str, Person]:
    found: dict[str, Person] = {}
    for line in content.splitlines():
        said = json.loads(line)
        event, name = said["event"], said["name"]
        if event == "enrolled" and name not in found:  # the first admin names themselves
            found[name] = replace(found.pop(""), name=name)
        one = found.get(name, Person(name, said.get("role", "viewer")))
        one = replace(one, epoch=one.epoch + 1)
        if event == "invited":
            one = replace(one, role=said["role"], link=said["link"], until=said["until"])
        elif event == "enrolled":
            one = replace(one, secret=said["hash"], identity="", link="", is_closed=False)
        elif event == "vouched":
            one = replace(one, secret="", identity=said["identity"], role=said["role"])
            one = replace(one, link="", is_closed=False)
        elif event == "role":
            one = replace(one, role=said["role"])
        elif event == "closed":
            one = replace(one, is_closed=True, link="", closings=one.closings + 1)
        found[name] = one
    return found


def _is_open(content: bytes, link: str) -> bool:
    return any(one.link == link for one in _fold(content).values())


def _comes_otherwise(content: bytes, name: str) -> bool:
    """Whether a name has a way in that no open invitation replaces."""
    known = _fold(content).get(name)
    return known is not None and not known.link


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """The hash of a password nobody has: checking a name nobody has takes as long as any."""
    return _hasher().hash(secrets.token_urlsafe(24))


def _verify(secret: str, password: str) -> bool:
    try:
        return _hasher().verify(secret, password)
    except (VerificationError, InvalidHashError):
        return False


def secret_of(folder: Path) -> bytes:
    """The home's own key for what the desk signs, made where there is none."""
    path = folder / "desk.key"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_hex(32).encode())
    except FileExistsError:
        pass
    return path.read_bytes()
