"""What orders teach about suppliers: lead-time distributions with open orders as censored, on time
in full, price and rejections."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import polars as pl

from models.lead_time_survival import survival
from models.procurement.documents import Document

#: One row an order line, as `observe` makes them; days may be fractions, units are base units.
OBSERVATIONS: dict[str, type[pl.DataType]] = {
    "supplier_id": pl.String,
    "location_id": pl.String,
    "item_id": pl.String,
    "ordered_on": pl.Date,
    "promised_days": pl.Float64,
    "elapsed_days": pl.Float64,
    "is_open": pl.Boolean,
    "ordered": pl.Float64,
    "received": pl.Float64,
    "rejected": pl.Float64,
    "ordered_price": pl.Float64,
    "invoiced_price": pl.Float64,
    "is_refused": pl.Boolean,
}


def observe(documents: Iterable[Document], now: date) -> pl.DataFrame:
    """Approved purchase lines as observations, one row each; open ones have been waiting until now.
    Returns OBSERVATIONS."""
    rows = []
    for d in documents:
        if d.kind != "purchase" or not d.is_approved or d.ended in ("cancelled", "closed"):
            continue
        ordered_on = date.fromisoformat(d.approved_on)
        is_in = bool(d.receipts) and d.received >= d.ordered
        end = date.fromisoformat(d.arrived_at[:10]) if is_in else now
        invoiced = (
            sum(i["quantity"] * i["unit_cost"] for i in d.invoices.values()) / d.invoiced
            if d.invoiced
            else None
        )
        row = (
            d.from_id,
            d.location_id,
            d.item_id,
            ordered_on,
            float((date.fromisoformat(d.asked_on) - ordered_on).days),
            float(max((end - ordered_on).days, 0)),
            not is_in,
            d.quantity,
            d.received,
            sum(rejected for _, rejected in d.receipts.values()),
            d.unit_cost,
            invoiced,
            d.ended == "refused",
        )
        rows.append(row)
    return pl.DataFrame(rows, schema=OBSERVATIONS, orient="row")


def failure_risk(due: float, good: float, refused: float = 0.0) -> float:
    """The probability that a supplier's next line is late, short or refused, from how many lines
    were due and how many good.

    due: lines delivered or overdue. good: those on time and in full. refused: lines turned down.
    One good and one bad line are assumed beforehand (Laplace's rule of succession), so that a
    stranger is at one half.
    """
    return (due - good + refused + 1) / (due + refused + 2)


def scorecard(observations: pl.DataFrame, by: tuple[str, ...] = ("supplier_id",)) -> pl.DataFrame:
    """One row a supplier (or supplier and lane): how soon, how reliably, at what price.

    observations: OBSERVATIONS. Returns by, lines, lead_time_mean_days, lead_time_p50_days,
    lead_time_p90_days (open orders count as at least their age; null before anything has come),
    open_count, due_lines (delivered or overdue), otif (share of these on time and in full),
    fill_rate, price_variance (share paid over the ordered price), rejection_share, refusal_share,
    risk (probability that a line is late, short or refused, with one good and one bad line assumed
    beforehand, so that a stranger is at one half).
    """
    rows = []
    for key, group in observations.group_by(list(by), maintain_order=True):
        taken = group.filter(~pl.col("is_refused"))
        # the age of open orders alone is no lead time
        times = (
            survival(taken["elapsed_days"].to_numpy(), taken["is_open"].to_numpy())
            if not taken["is_open"].all()
            else None
        )
        due = taken.filter(~pl.col("is_open") | (pl.col("elapsed_days") > pl.col("promised_days")))
        good = due.filter(
            ~pl.col("is_open")
            & (pl.col("elapsed_days") <= pl.col("promised_days"))
            & (pl.col("received") >= pl.col("ordered"))
        )
        billed = taken.filter(
            pl.col("invoiced_price").is_not_null() & (pl.col("ordered_price") > 0)
        )
        paid = (billed["invoiced_price"] / billed["ordered_price"]).to_numpy()
        received, turned_down = float(due["received"].sum()), float(due["rejected"].sum())
        refused = group.height - taken.height
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "lines": group.height,
                "lead_time_mean_days": times.mean_days if times else None,
                "lead_time_p50_days": times.quantile(0.5) if times else None,
                "lead_time_p90_days": times.quantile(0.9) if times else None,
                "open_count": int(taken["is_open"].sum()),
                "due_lines": due.height,
                "otif": good.height / due.height if due.height else None,
                "fill_rate": min(received / float(due["ordered"].sum()), 1.0)
                if due.height
                else None,
                "price_variance": float(paid.mean()) - 1 if paid.size else None,
                "rejection_share": turned_down / (received + turned_down)
                if received + turned_down
                else None,
                "refusal_share": refused / group.height,
                "risk": failure_risk(due.height, good.height, refused),
            }
        )
    return pl.DataFrame(rows)
