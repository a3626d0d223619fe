"""One beat of intake: what lies with others is pulled, what was received is handed on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb

from orchestration.intake.database import pull_database
from orchestration.intake.deliveries import LANDED
from orchestration.intake.folder import sweep
from orchestration.intake.inbox import Inbox
from orchestration.intake.options import Folder, check_intake, database_of, rest_of, stream_of
from orchestration.intake.rest import pull_rest
from orchestration.landing import World


def pull(world: World, inbox: Path) -> list[str]:
    """Ask every `database` and `url` source once; the names of new deliveries under the inbox.
    Raises ContractError.

    All options are checked before the first question. What was written before an error stays:
    landing takes it, and the next pull goes on.
    """
    written: list[str] = []
    for source_id, kind in check_intake(world).items():
        where = world.where("sources", source_id, kind)
        if kind == "database":
            written += pull_database(source_id, database_of(world, source_id), inbox, where=where)
        elif kind == "url":
            written += pull_rest(source_id, rest_of(world, source_id), inbox, where=where)
    return written


def drain(world: World, inbox: Path) -> list[str]:
    """Hand on what streams and webhooks received and what was dropped into watched folders; the
    names of new deliveries."""
    written: list[str] = []
    streams = [source_id for source_id, kind in check_intake(world).items() if kind == "stream"]
    if not streams:
        return written
    with Inbox(inbox) as received:
        for source_id in streams:
            options = stream_of(world, source_id)
            if isinstance(options, Folder):
                written += sweep(
                    source_id, options, inbox, where=world.where("sources", source_id, "stream")
                )
            else:
                written += received.drain(source_id)
    return written


def waiting(world: World, inbox: Path) -> dict[str, int]:
    """How many received messages of each stream have not been handed on yet."""
    with Inbox(inbox) as received:
        return {
            source_id: received.waiting(source_id)
            for source_id, kind in check_intake(world).items()
            if kind == "stream"
        }


def lying(world: World, inbox: Path) -> list[str]:
    """The names under the inbox of the deliveries that landing has not taken yet, whoever asked for
    them and whenever."""
    sources = [source_id for source_id, source in world.sources.items() if source.is_inbox]
    found = (path for source_id in sources for path in (inbox / source_id).glob("*.jsonl"))
    return sorted(path.relative_to(inbox).as_posix() for path in found)


def is_landed(world: World, inbox: Path) -> bool:
    """Whether landing has taken everything that was ever received: nothing waits, and no delivery
    lies in the inbox."""
    return not lying(world, inbox) and not any(waiting(world, inbox).values())


def forget_landed(con: duckdb.DuckDBPyConnection, world: World, inbox: Path) -> int:
    """Remove deliveries that landing has committed, how many: their bytes are in the archive, and
    the inbox stays short.

    A file goes only if the manifest has its source, its bytes and its name; a message or row that
    comes again is still known.
    """
    rows = con.execute("SELECT source_id, delivery, file FROM raw.manifest").fetchall()
    committed, gone = set(rows), 0
    for source_id, source in world.sources.items():
        for path in sorted((inbox / source_id).glob("*.jsonl")) if source.is_inbox else ():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (source_id, digest, path.stem) in committed:
                if path.stem.startswith("rows-"):
                    path.with_suffix(LANDED).touch()
                path.unlink()
                gone += 1
    return gone
