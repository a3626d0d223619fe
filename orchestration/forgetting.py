"""A person's wish to be forgotten, through all of a home: what waits is landed first, so that there is one place to look, the archive."""

from __future__ import annotations

from pathlib import Path

from orchestration import intake
from orchestration.home import Home
from orchestration.landing import Forgotten, World, forget, land


def forget_customer(home: Home, world: World, data_root: Path, customer: str) -> Forgotten:
    """Replace a customer by a random stand-in in state/ and in schema raw, so that no number changes and nothing leads to the person.

    Raises ContractError, with nothing replaced, where a delivery cannot be rewritten; HomeError while a run is writing.
    """
    with home.writing(), home.connect() as con:
        intake.drain(world, home.inbox)
        land(con, world, data_root, home.archive, inbox=home.inbox)
        intake.forget_landed(con, world, home.inbox)
        found = forget(con, world, home.archive, customer)
        con.execute("CHECKPOINT")
    with intake.Inbox(home.inbox) as received:
        for source_id in world.sources:
            if world.names_customers(source_id):
                received.empty_drained(source_id)  # the archive has them, and there the customer is forgotten
    return found
