"""How late things really are, and what freight really costs: drawn from real SCMS delivery rows (US
government open data)."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from generator.calendar import stream
from generator.company import SUPPLIERS, Supplier

COLUMNS = (
    "ID",
    "ASN/DN #",
    "Shipment Mode",
    "Scheduled Delivery Date",
    "Delivered to Client Date",
    "Vendor",
    "Weight (Kilograms)",
    "Freight Cost (USD)",
)
GBP_PER_USD = 0.62
_MOST_LATE = 42  # days; SCMS has delays of half a year, which would starve a gift wholesaler


def extract(source: Path, out: Path) -> None:
    """Copy the SCMS columns that are drawn from, for the vendors that are drawn from: at most 250
    rows each, evenly spaced."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for vendor in sorted({one.lateness_of for one in SUPPLIERS}):
            theirs = [row for row in rows if row["Vendor"] == vendor]
            writer.writerows(theirs[:: max(1, -(-len(theirs) // 250))])


@dataclass(frozen=True)
class Freight:
    """What one real row says about freight: a price a kilogram in USD, or the words that stand
    where the numbers should be."""

    usd_per_kg: float | None
    cost_words: str = ""
    weight_words: str = ""


class Lateness:
    """Draws of days late (negative: early) and of freight, each from a real row of the vendor that
    stands behind a supplier."""

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self._days: dict[str, list[int]] = defaultdict(list)
        self._freight: dict[str, list[Freight]] = defaultdict(list)
        for row in rows:
            self._days[row["Vendor"]].append(
                (_day(row["Delivered to Client Date"]) - _day(row["Scheduled Delivery Date"])).days
            )
            # a consignment's second line: logistics.py writes its own
            if not row["Freight Cost (USD)"].startswith("See"):
                self._freight[row["Shipment Mode"]].append(_freight(row))
        self._freight = {mode: _plausible(drawn) for mode, drawn in self._freight.items()}

    def of_purchase(self, supplier: Supplier, ordered_on: int) -> int:
        """Days late of an order, clipped so that it arrives at least two days after it was
        placed."""
        drawn = stream("late", supplier.supplier_id, ordered_on).choice(
            self._days[supplier.lateness_of]
        )
        return min(max(drawn, 2 - supplier.lead_time_days), _MOST_LATE)

    def of_transfer(self, place: str, sent_on: int) -> int:
        """Days late of a consignment from DC1, from the same rows; own lorries are never early and
        at most three days late."""
        vendor = stream("lane", place, sent_on).choice(sorted(self._days))
        return min(max(stream("late", place, sent_on).choice(self._days[vendor]), 0), 3)

    def freight(self, mode: str, *key: object) -> Freight:
        """The freight of a consignment: that of a real row of the same mode."""
        return stream("freight", *key).choice(self._freight[mode])

    def usual_usd_per_kg(self, mode: str) -> float:
        """The median freight a kilogram of a mode, which the planned lanes quote."""
        return round(
            median(one.usd_per_kg for one in self._freight[mode] if one.usd_per_kg is not None), 2
        )


def _plausible(drawn: list[Freight]) -> list[Freight]:
    """Without the dearest and the cheapest twentieth: SCMS weighs some parcels at a kilogram, and a
    lorry of ours is not a parcel."""
    prices = sorted(one.usd_per_kg for one in drawn if one.usd_per_kg is not None)
    low, high = prices[len(prices) // 20], prices[-1 - len(prices) // 20]
    return [one for one in drawn if one.usd_per_kg is None or low <= one.usd_per_kg <= high]


def _freight(row: dict[str, str]) -> Freight:
    cost, weight = row["Freight Cost (USD)"], row["Weight (Kilograms)"]
    if _is_number(cost) and _is_number(weight) and float(weight) > 0:
        return Freight(round(float(cost) / float(weight), 4))
    return Freight(
        None,
        "Invoiced Separately" if _is_number(cost) else cost,
        "" if _is_number(weight) else weight,
    )


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _day(text: str) -> datetime:
    for form in ("%d-%b-%y", "%m/%d/%y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError(f"SCMS date {text!r} is in none of the three known forms")
