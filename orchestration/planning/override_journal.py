"""The planner's overrides, kept: who wanted what, why, known since when and until when; lines are
added and never changed. The plan reads those in force; what they do to an order is in
models/replenishment/overrides.py.

state/overrides.jsonl, one JSON object a line: {event: added, override_id, kind, value, parameter,
scope, reason, expires_on, author, known_at, recorded_at} or {event: expired, override_id, reason,
author, known_at, recorded_at}. A file of its own and not the ledger: an override is an input of
planning, versioned by known_at like every other fact, and orders nothing by itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast, get_args

import polars as pl

from models.replenishment.overrides import PARAMETERS, Kind, Override
from orchestration.home import Home, journal

FILE = "overrides.jsonl"


@dataclass(frozen=True)
class Entry:
    """One override on record: what is wanted, by whom, known since when; ended_at and ended_by once
    somebody has expired it. requests: of scripts, that recorded or ended it. recorded_at: by the
    machine's clock, UTC."""

    override_id: str
    override: Override
    author: str
    known_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None
    requests: tuple[str, ...] = ()
    recorded_at: datetime | None = field(default=None, compare=False)

    def is_in_force(self, now: datetime, on: date) -> bool:
        """Whether a plan made at `now` (UTC) for the periods from `on` has to follow it."""
        return (
            self.known_at <= now
            and not (self.ended_at and self.ended_at <= now)
            and self.override.is_active(on)
        )

    def __str__(self) -> str:
        override = self.override
        until = f" until {override.expires_on}" if override.expires_on else ""
        ended = f"; ended by {self.ended_by}" if self.ended_at else ""
        what = (
            f"{override.parameter or override.kind} {override.value:g} for {_words(override.scope)}"
        )
        return f"{self.override_id}: {what}{until}: {override.reason} ({self.author}){ended}"

    def as_dict(self) -> dict[str, Any]:
        """The record as data, in the words of the command line."""
        override = self.override
        return {
            "override_id": self.override_id,
            "kind": override.kind,
            "value": override.value,
            "parameter": override.parameter,
            "scope": dict(override.scope),
            "reason": override.reason,
            "expires_on": override.expires_on,
            "author": self.author,
            "known_at": self.known_at,
            "ended_at": self.ended_at,
            "ended_by": self.ended_by,
        }


def parse(
    kind: str,
    value: float,
    reason: str,
    scope: list[str],
    expires: str | None,
    parameter: str | None,
) -> Override:
    """An override in a planner's words; scope as column=value. Raises ValueError that says which
    word is not understood."""
    if kind not in get_args(Kind):
        raise ValueError(
            f"there is no kind of override '{kind}'; there are {', '.join(get_args(Kind))}"
        )
    pairs = [part.partition("=") for part in scope]
    for column, equals, text in pairs:
        if not (column and equals and text):
            raise ValueError(
                f"a scope is COLUMN=VALUE such as item_id=22086, not '{column}{equals}{text}'"
            )
    until = date.fromisoformat(expires) if expires else None
    return Override(
        cast(Kind, kind),
        value,
        reason,
        {column: text for column, _, text in pairs},
        until,
        parameter,
    )


def size(home: Home) -> int:
    """How many bytes are on record, of whole lines: another figure once anybody has recorded or
    ended an override."""
    return len(journal.read(home.state / FILE))


def entries(home: Home, upto: int | None = None) -> list[Entry]:
    """Every override ever recorded, oldest first. upto: only the journal's first so many bytes,
    what a plan had read. Raises ValueError naming the line of a file somebody has spoilt."""
    path = home.state / FILE
    return _read(path, journal.read(path)[:upto])


def in_force(home: Home, now: datetime, on: date, upto: int | None = None) -> list[Override]:
    """What a plan made at `now` for the periods from `on` has to follow, oldest first; each reason
    names its author and record. upto: as in entries."""
    return [
        replace(
            entry.override, reason=f"{entry.override.reason} ({entry.author}, {entry.override_id})"
        )
        for entry in entries(home, upto)
        if entry.is_in_force(now, on)
    ]


def unplanned(
    home: Home, now: datetime, planned: pl.DataFrame, read: int | None, since: datetime
) -> dict[tuple[str, str], Entry]:
    """The newest override in force of each item and location that a plan which had read so many
    bytes of the journal did not know, and therefore does not follow.

    planned: rows with the columns that scopes name. since: when the plan was published (UTC), which
    decides where it is not on record what it had read.
    """
    if read is None:
        known = {one.override_id for one in entries(home) if not _is_later(one, since)}
    else:
        known = {one.override_id for one in entries(home, read)}
    pairs = list(planned.select("item_id", "location_id").iter_rows())
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries(home):
        if entry.override_id not in known and entry.is_in_force(now, now.date()):
            touched = entry.override.touches(planned)
            found |= {pair: entry for pair, is_in in zip(pairs, touched, strict=True) if is_in}
    return found


def _is_later(entry: Entry, since: datetime) -> bool:
    at = entry.recorded_at and entry.recorded_at.replace(microsecond=0)  # as plans are dated
    return at is not None and at > since


def movers(
    home: Home,
    now: datetime,
    on: date,
    planned: pl.DataFrame,
    moved: Collection[tuple[str, str]] = (),
) -> dict[tuple[str, str], set[str]]:
    """Whose overrides in force move which item and location, by item and location: they may not
    approve what comes of it.

    planned: rows with the columns that scopes name. moved: pairs known to be ordered otherwise than
    by the plan alone; where no override names such a pair, it was moved by what the others took or
    left, and so by everyone who overrode a planned row.
    """
    standing = [entry for entry in entries(home) if entry.is_in_force(now, on)]
    pairs = list(planned.select("item_id", "location_id").iter_rows())
    found: dict[tuple[str, str], set[str]] = {}
    for entry in standing:
        for pair, is_touched in zip(pairs, entry.override.touches(planned), strict=True):
            if is_touched:
                found.setdefault(pair, set()).add(entry.author)
    everyone = set().union(*found.values())
    return found | {pair: everyone for pair in moved if everyone and pair not in found}


def add(
    home: Home,
    planned: pl.DataFrame,
    override: Override,
    author: str,
    now: datetime,
    on: date,
    request: str = "",
) -> tuple[Entry, int]:
    """Record an override and say how many planned items and locations it touches.

    planned: the rows of dim_item_locations. now: the home's Now, UTC. on: the first day of the next
    plan. request: of a script, which records one however often it is sent. Raises ValueError, with
    nothing recorded, for one that could do nothing or more than is meant.
    """
    _require(author, "who wants this (--by)")
    _require(override.reason, "why (--reason)")
    if not override.is_active(on):
        raise ValueError(
            f"it would expire on {override.expires_on}, before the first day of the next plan, "
            f"{on}: give a later --expires"
        )
    if override.parameter is not None and override.parameter not in PARAMETERS:
        raise ValueError(
            f"'{override.parameter}' is no parameter of the plan that a planner sets; there are "
            f"{', '.join(PARAMETERS)}"
        )
    touched = int(override.touches(planned).sum())
    if not touched:
        raise ValueError(
            f"no planned item and location has {_words(override.scope)}: marts.dim_item_locations "
            "holds what is planned"
        )
    longest = max(planned["lead_time_periods"].to_list())
    if override.parameter == "lead_time_periods" and override.value > longest:
        raise ValueError(
            f"the forecast reaches lead times of up to {longest} periods, not {override.value:g}: "
            "set a quantity instead"
        )
    if override.kind == "quantity" and override.value > 0 and touched > 1:
        raise ValueError(
            f"{override.value:g} units would be ordered for each of {touched} items and locations: "
            "name one, item and location"
        )
    with _appending(home.state / FILE) as (known, append):
        if (before := _of_request(known, request)) is not None:
            return before, touched
        entry = Entry(f"override-{len(known) + 1}", override, author.strip(), now)
        append(
            {"event": "added", **_by_request(request)}
            | {
                name: value
                for name, value in entry.as_dict().items()
                if not name.startswith("ended")
            }
        )
    return entry, touched


def expire(
    home: Home, override_id: str, author: str, reason: str, now: datetime, request: str = ""
) -> Entry:
    """End an override from the next plan on; the record stays. Raises ValueError for one that is
    not there or has ended, but by this very request of a script."""
    _require(author, "who ends this (--by)")
    _require(reason, "why (--reason)")
    with _appending(home.state / FILE) as (known, append):
        entry = next((entry for entry in known if entry.override_id == override_id), None)
        if entry is None:
            there = ", ".join(entry.override_id for entry in known if entry.ended_at is None)
            raise ValueError(
                f"there is no '{override_id}'; on record and not ended: {there or 'none'}"
            )
        if entry == _of_request(known, request):
            return entry
        if entry.ended_at is not None:
            raise ValueError(
                f"{override_id} was ended by {entry.ended_by} at {entry.ended_at:%Y-%m-%d %H:%M} "
                "already"
            )
        append(
            {
                "event": "expired",
                **_by_request(request),
                "override_id": override_id,
                "reason": reason,
                "author": author.strip(),
                "known_at": now,
            }
        )
    return replace(entry, ended_at=now, ended_by=author.strip())


def _by_request(request: str) -> dict[str, str]:
    return {"request": request} if request else {}


def _of_request(known: Collection[Entry], request: str) -> Entry | None:
    """The override that a request of a script has recorded or ended already."""
    return next((entry for entry in known if request and request in entry.requests), None)


def _read(path: Path, content: bytes) -> list[Entry]:
    entries_by_id: dict[str, Entry] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            event = json.loads(line)
            known_at = datetime.fromisoformat(event["known_at"])
            asked = (event["request"],) if "request" in event else ()
            if event["event"] == "added":
                until = date.fromisoformat(event["expires_on"]) if event["expires_on"] else None
                recorded = event.get("recorded_at")
                override = Override(
                    event["kind"],
                    event["value"],
                    event["reason"],
                    event["scope"],
                    until,
                    event["parameter"],
                )
                entries_by_id[event["override_id"]] = Entry(
                    event["override_id"],
                    override,
                    event["author"],
                    known_at,
                    requests=asked,
                    recorded_at=datetime.fromisoformat(recorded) if recorded else None,
                )
            else:
                ended = entries_by_id[event["override_id"]]
                entries_by_id[ended.override_id] = replace(
                    ended,
                    ended_at=known_at,
                    ended_by=event["author"],
                    requests=ended.requests + asked,
                )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, line {number} is no override ({error!r}): bring the file back from a "
                "backup"
            ) from error
    return list(entries_by_id.values())


@contextmanager
def _appending(path: Path) -> Iterator[tuple[list[Entry], journal.Append]]:
    """What is on record, and a way to add to it."""
    with journal.appending(path) as (content, append):
        yield (
            _read(path, content),
            lambda event: append({**event, "recorded_at": datetime.now(UTC).replace(tzinfo=None)}),
        )


def _require(text: str, what: str) -> None:
    if not text.strip():
        raise ValueError(f"an override says {what}")


def _words(scope: Mapping[str, str]) -> str:
    return " and ".join(f"{column} {value}" for column, value in scope.items()) or "everything"
