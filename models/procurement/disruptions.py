"""What may happen between two runs, in the words of the twin's scenarios: demand moves, a supplier
is late, a place is closed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, get_args

import polars as pl

from models.procurement.messages import MessageError

Kind = Literal["demand_factor", "lead_time_delay", "location_closed"]
#: What a scope may name: columns of the planner's rows; supplier_id is from whom a row buys.
SCOPE = ("item_id", "location_id", "category", "supplier_id")
#: Which word says how large a disruption of a kind is, and the least and the most that can be
#: meant.
SIZES: dict[str, tuple[str, float, float]] = {
    "demand_factor": ("factor", 0.0, 100.0),
    "lead_time_delay": ("days", 0.0, 365.0),
}


@dataclass(frozen=True)
class Disruption:
    """One event with its reach: from starts_on to ends_on, both included, wherever every column of
    the scope agrees.

    size: the factor on demand, or the days added to what is ordered or due meanwhile; a closed
    place needs none.
    """

    disruption_id: str
    kind: Kind
    scope: Mapping[str, str]
    starts_on: date
    ends_on: date
    size: float = 0.0

    @property
    def reason(self) -> str:
        """What happened, in words."""
        where = ", ".join(self.scope.values()) or "everywhere"
        effect = {
            "demand_factor": f"demand is {self.size:g} times the forecast",
            "lead_time_delay": f"deliveries come {self.size:g} days later",
            "location_closed": "it is closed",
        }[self.kind]
        return f"{where}: {effect} from {self.starts_on} to {self.ends_on}"

    def rows(self, rows: pl.DataFrame) -> pl.Series:
        """Which of the planner's rows it concerns: True where every column of the scope agrees."""
        agrees = pl.lit(value=True)
        for name, value in self.scope.items():
            column = pl.col("from_id") if name == "supplier_id" else pl.col(name)
            agrees &= column.cast(pl.String).eq_missing(value)
        if self.kind == "location_closed":  # a closed place neither takes nor gives
            agrees |= pl.col("from_id").eq_missing(self.scope["location_id"])
        return rows.with_columns(is_concerned=agrees)["is_concerned"]


def read(values: Mapping[str, Any], disruption_id: str) -> Disruption:
    """A disruption out of a message's plain values. Raises MessageError naming what is missing or
    cannot be meant."""
    kind: Any = values.get("kind")
    if kind not in get_args(Kind):
        raise MessageError(f"kind is {kind!r}, none of {', '.join(get_args(Kind))}")
    scope = values.get("scope", {})
    if not isinstance(scope, Mapping) or (unknown := [name for name in scope if name not in SCOPE]):
        raise MessageError(
            f"scope may name {', '.join(SCOPE)}, not "
            f"{unknown if isinstance(scope, Mapping) else scope!r}"
        )
    if kind == "location_closed" and set(scope) != {"location_id"}:
        raise MessageError("scope of location_closed is one location_id")
    try:
        starts_on, ends_on = (
            date.fromisoformat(str(values[name])[:10]) for name in ("starts_on", "ends_on")
        )
    except (KeyError, ValueError) as error:
        raise MessageError(f"starts_on and ends_on are days as YYYY-MM-DD: {error}") from error
    if ends_on < starts_on:
        raise MessageError(f"it ends on {ends_on}, before it starts on {starts_on}")
    size = 0.0
    if kind in SIZES:
        word, least, most = SIZES[kind]
        value = values.get(word)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not least <= value <= most
        ):
            raise MessageError(f"{word} is {value!r}; it lies between {least:g} and {most:g}")
        size = float(value)
    return Disruption(
        disruption_id,
        kind,
        {name: str(value) for name, value in scope.items()},
        starts_on,
        ends_on,
        size,
    )
