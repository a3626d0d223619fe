"""What a law is: a query for the rows that break it, and whether breaking it stops the line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Law:
    """One expectation on one table.

    name: unique in its gate and known before any data is seen. table: schema.table. broken_by: SQL
    whose rows break the law, with `{batch}` where the rows under test stand. An error stops the
    line, a warning never does.
    """

    name: str
    table: str
    broken_by: str
    description: str
    severity: Severity = "error"


@dataclass(frozen=True)
class Gate:
    """The laws that hold at one edge of the house; `run_only` narrows the tables named to the rows
    of the run being checked."""

    name: str
    laws: tuple[Law, ...]
    run_only: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables under test, each once, in the order of their laws."""
        return tuple(dict.fromkeys(law.table for law in self.laws))
