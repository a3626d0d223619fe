"""One beat of intake: what lies with others is pulled, what was received is handed on."""

from __future__ import annotations

from pathlib import Path

from orchestration.intake.database import pull_database
from orchestration.intake.folder import sweep
from orchestration.intake.inbox import Inbox
from orchestration.intake.options import Folder, check_intake, database_of, rest_of, stream_of
from orchestration.intake.rest import pull_rest
from orchestration.landing import World


def pull(world: World, inbox: Path) -> list[str]:
    """Ask every `database` and `url` source once; the names of new deliveries under the inbox. Raises ContractError.

    All options are checked before the first question. What was written before an error stays: landing takes it, and the next pull goes on.
    """
    written: list[str] = []
    for source_id, came in check_intake(world).items():
        where = world.where("sources", source_id, came)
        if came == "database":
            written += pull_database(source_id, database_of(world, source_id), inbox, where=where)
        elif came == "url":
            written += pull_rest(source_id, rest_of(world, source_id), inbox, where=where)
    return written


def drain(world: World, inbox: Path) -> list[str]:
    """Hand on what streams and webhooks received and what was dropped into watched folders; the names of new deliveries."""
    written: list[str] = []
    streams = [source_id for source_id, came in check_intake(world).items() if came == "stream"]
    if not streams:
        return written
    with Inbox(inbox) as received:
        for source_id in streams:
            options = stream_of(world, source_id)
            if isinstance(options, Folder):
                written += sweep(source_id, options, inbox, where=world.where("sources", source_id, "stream"))
            else:
                written += received.drain(source_id)
    return written


def waiting(world: World, inbox: Path) -> dict[str, int]:
    """How many received messages of each stream have not been handed on yet."""
    with Inbox(inbox) as received:
        return {source_id: received.waiting(source_id) for source_id, came in check_intake(world).items() if came == "stream"}
