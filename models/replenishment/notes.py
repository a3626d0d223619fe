"""What a step of a decision has to tell about some rows: arrays in, so that a simulation can afford
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from models.domain import Integers
from models.replenishment.plan_exceptions import SCHEMA, exception_of


@dataclass(frozen=True)
class Note:
    """One exception of the same kind and severity for several rows. reason: a sentence a planner
    understands."""

    kind: str
    severity: str
    rows: Integers
    reason: str


def exceptions_of(notes: Sequence[Note], rows: pl.DataFrame) -> pl.DataFrame:
    """The notes as lines of the exception list, one a row; rows: item_id, location_id of all
    rows."""
    exceptions = [
        exception_of(rows[note.rows], note.kind, note.severity, pl.lit(note.reason))
        for note in notes
    ]
    return pl.concat(exceptions) if exceptions else pl.DataFrame(schema=SCHEMA)
