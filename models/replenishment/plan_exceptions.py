"""Bad input stops one item, never the plan: who is left out, and what to mend."""

from __future__ import annotations

import polars as pl

#: The columns of the exception list.
SCHEMA = {
    "item_id": pl.String,
    "location_id": pl.String,
    "kind": pl.String,
    "severity": pl.String,
    "reason": pl.String,
}


def figure(column: str) -> pl.Expr:
    """A column of numbers as text, with one decimal at most: 1032 and 12.5, never 1032.0."""
    return pl.col(column).round(1).cast(pl.String).str.strip_suffix(".0")


_BAD: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
    "unknown_stock": (
        pl.col("on_hand").is_null() | pl.col("on_hand").is_nan(),
        "its stock on hand is not known: count it",
    ),
    "negative_stock": (
        pl.col("on_hand") < 0,
        pl.format("its stock on hand is {}: count it and correct the record", figure("on_hand")),
    ),
    "no_supplier": (
        pl.col("from_id").is_null(),
        "nobody supplies it: name a supplier or a shipping location",
    ),
    "unknown_lead_time": (
        pl.col("lead_time_periods").is_null() | (pl.col("lead_time_periods") < 0),
        "its lead time is not known: enter it in the supplier's terms or the lane",
    ),
    "missing_cost": (
        pl.any_horizontal(pl.col("unit_cost", "holding_cost", "shortage_cost").is_null())
        | pl.any_horizontal(pl.col("unit_cost", "holding_cost", "shortage_cost").is_nan()),
        "its unit cost, holding cost or shortage cost is missing: enter it in the item master",
    ),
    "negative_cost": (
        pl.any_horizontal(pl.col("unit_cost", "holding_cost", "shortage_cost") < 0),
        "its unit cost, holding cost or shortage cost is negative: correct the item master",
    ),
    "moq_above_capacity": (
        pl.max_horizontal("moq", "order_multiple") > pl.col("capacity"),
        pl.format(
            "the supplier's minimum of {} is above the room for {}",
            pl.max_horizontal("moq", "order_multiple"),
            "capacity",
        ),
    ),
}
#: Checked only where somebody promised a service level.
_PROMISED: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
    "impossible_service_level": (
        ~pl.col("service_level").is_between(0, 1, closed="left"),
        pl.format("its service level is {}: promise at least 0 and less than 1", "service_level"),
    )
}
_DOUBTFUL: dict[str, tuple[pl.Expr, str | pl.Expr]] = {
    "zero_lead_time": (
        (pl.col("lead_time_days") == 0) & (pl.col("kind") == "purchase"),
        "its supplier is said to deliver on the day of the order: check the lead time",
    )
}


def find_exceptions(rows: pl.DataFrame, more: pl.DataFrame | None = None) -> pl.DataFrame:
    """Every row whose input cannot be planned on (severity error, one line a fault) or should be
    looked at (warning).

    rows: the columns of dim_item_locations with on_hand; `capacity` (units) may be missing. more:
    exceptions found elsewhere. A location whose shipping location is itself an error, or does not
    stock the item, is an error too.
    """
    if "capacity" not in rows.columns:
        rows = rows.with_columns(capacity=pl.lit(None, dtype=pl.Float64))
    faults = _BAD | (_PROMISED if "service_level" in rows.columns else {})
    exceptions = [
        _where(rows, kind, "error", is_bad, why) for kind, (is_bad, why) in faults.items()
    ]
    exceptions += [
        _where(rows, kind, "warning", is_bad, why) for kind, (is_bad, why) in _DOUBTFUL.items()
    ]
    exceptions += [] if more is None else [more]
    errors = (
        pl.concat(exceptions)
        .filter(pl.col("severity") == "error")
        .select("item_id", from_id="location_id")
        .unique()
    )
    shipped = rows.filter(pl.col("kind") == "transfer", pl.col("from_id").is_not_null())
    here = rows.select("item_id", from_id="location_id")
    orphans = shipped.join(here, on=["item_id", "from_id"], how="anti")
    blocked = shipped.join(errors, on=["item_id", "from_id"], how="semi")
    exceptions.append(
        _where(
            orphans,
            "no_shipping_stock",
            "error",
            pl.lit(True),
            pl.format("{} ships it but does not stock it", "from_id"),
        )
    )
    reason = pl.format("{}, which ships it, is on this list", "from_id")
    exceptions.append(_where(blocked, "shipping_location_left_out", "error", pl.lit(True), reason))
    return pl.concat(exceptions).sort("item_id", "location_id", "kind")


def exception_of(rows: pl.DataFrame, kind: str, severity: str, reason: pl.Expr) -> pl.DataFrame:
    """One line of the exception list for each of these rows."""
    return rows.select(
        pl.col("item_id", "location_id").cast(pl.String),
        kind=pl.lit(kind),
        severity=pl.lit(severity),
        reason=reason.cast(pl.String),
    )


def _where(
    rows: pl.DataFrame, kind: str, severity: str, is_bad: pl.Expr, reason: str | pl.Expr
) -> pl.DataFrame:
    return exception_of(
        rows.filter(is_bad), kind, severity, pl.lit(reason) if isinstance(reason, str) else reason
    )
