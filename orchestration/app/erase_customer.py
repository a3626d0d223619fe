"""A person's wish to be forgotten, through all of a home: what waits is landed first, so that there
is one place to look, the archive."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from orchestration import intake
from orchestration.home import Home, files
from orchestration.home.sql import literal, quote
from orchestration.landing import Forgotten, World, forget, land
from orchestration.landing.erase.remains import remains


def forget_customer(home: Home, world: World, data_root: Path, customer: str) -> Forgotten:
    """Replace a customer by a random stand-in in state/ and in schema raw, so that no number
    changes and nothing leads to the person; `left` names the files that hold the id all the same.

    Raises ContractError, with nothing replaced, where a delivery cannot be rewritten; HomeError
    while a run is writing.
    """
    with home.writing():
        with home.connect() as con:
            intake.drain(world, home.inbox)
            land(con, world, data_root, home.archive, inbox=home.inbox)
            intake.forget_landed(con, world, home.inbox)
            found = forget(con, world, home.archive, customer)
        with intake.Inbox(home.inbox) as received:
            for source_id in filter(world.names_customers, world.sources):
                # the archive has them, and there the customer is forgotten
                received.empty_drained(source_id)
        _write_warehouse_anew(home)
        if home.past.exists():  # earlier days were made of the archive as it was
            shutil.rmtree(home.past)
    return replace(found, left=remains(home.root, customer))


def _write_warehouse_anew(home: Home) -> None:
    """What was deleted stays readable in free pages of DuckDB's file until something else is
    written there; a new file has none."""
    files.sweep(home.warehouse.parent)
    with files.replacing(home.warehouse) as aside, home.connect() as con:
        con.execute(f"ATTACH {literal(str(aside))} AS anew")
        con.execute(f"COPY FROM DATABASE {quote(home.warehouse.stem)} TO anew")
        con.execute("DETACH anew")
