"""By which ways goods can get to a place, and what a unit costs landed by each: quoted lanes,
suppliers' terms, other places' surplus; and what may be used in an item's place.

Freight and transit of a way nobody quoted are composed of quoted lanes: goods that go from one
place to another past the centre take as long and cost as much as over it; goods sent straight to a
place take the supplier's time to the centre and the lane from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import polars as pl

from models.domain import Floats
from models.replenishment.calendars import SupplyCalendar
from models.replenishment.landed_cost import LandedCost, landed_cost
from models.replenishment.order_rounding import orderable

Record = Mapping[str, Any]

#: What the duty on purchases is filed under where it is the same for every supplier.
EVERY_SUPPLIER = "all"


@dataclass(frozen=True)
class SupplyOption:
    """One way to get goods to a row: from whom, as which kind of order, in how many periods, at
    what cost a unit.

    unit_cost: what the order says; landed: with all it takes to bring it. most: units there are of
    it. saves: money every unit beyond the normal order saves against buying it later, at a price
    that rises meanwhile. kind `substitute` is no order: from_id is the item that is used instead,
    `each` how many of it for one.
    """

    name: str
    kind: Literal["purchase", "transfer", "substitute"]
    from_id: str
    periods: int
    unit_cost: float
    landed: LandedCost
    moq: float
    multiple: float
    most: float = math.inf
    saves: float = 0.0
    each: float = 1.0

    @property
    def cost(self) -> float:
        """Landed cost of one unit."""
        return float(self.landed.total)

    def quantity(self, wanted: float) -> float:
        """The least orderable quantity at or above what is wanted, or as much as there is."""
        asked = orderable(wanted, self.moq, self.multiple)
        return (
            asked if asked <= self.most else math.floor(self.most / self.multiple) * self.multiple
        )


@dataclass(frozen=True)
class PriceIncrease:
    """A dearer price a supplier has announced for an item, and the first day it is charged."""

    unit_cost: float
    starts_on: date


@dataclass(frozen=True)
class Logistics:
    """How goods can travel and be bought, as the newest data has it.

    lanes: by (from, to), the one in use first. terms: by item, one a supplier. price_increases: by
    (item, supplier), announced for the next review. duty_share: by supplier or EVERY_SUPPLIER, of
    price and freight. days_a_period: to count lead times. stops: by (from, to), hub_id, mode (of
    all where empty) and after_days of the hubs that goods pass. calendar: the days on which
    suppliers and lanes send and places take in, for what is decided `today`. substitutes: by item,
    substitute_id and quantity, how many of it for one.
    """

    lanes: Mapping[tuple[str, str], Sequence[Record]]
    terms: Mapping[str, Sequence[Record]]
    days_a_period: float
    duty_share: Mapping[str, float] = field(default_factory=dict)
    price_increases: Mapping[tuple[str, str], PriceIncrease] = field(default_factory=dict)
    stops: Mapping[tuple[str, str], Sequence[Record]] = field(default_factory=dict)
    calendar: SupplyCalendar | None = None
    today: date | None = None
    substitutes: Mapping[str, Sequence[Record]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        lanes: pl.DataFrame,
        terms: pl.DataFrame,
        days_a_period: float,
        duty_share: Mapping[str, float] | None = None,
        price_increases: Mapping[tuple[str, str], PriceIncrease] | None = None,
        stops: pl.DataFrame | None = None,
        calendar: SupplyCalendar | None = None,
        today: date | None = None,
        substitutes: pl.DataFrame | None = None,
    ) -> Logistics:
        """From the current rows of dim_lanes, dim_supplier_terms, dim_lane_stops and
        dim_substitutes."""
        quoted = lanes.sort(
            pl.col("item_id").is_null(),
            "freight_per_kg",
            "transit_days",
            nulls_last=True,
            maintain_order=True,
        )
        offered = terms.filter(pl.col("lead_time_days").is_not_null()).sort(
            "supplier_id", "from_quantity"
        )
        offered = offered.unique(["item_id", "supplier_id"], keep="first", maintain_order=True)
        return cls(
            _grouped(quoted, "from_id", "to_id"),
            {item: breaks for (item,), breaks in _grouped(offered, "item_id").items()},
            days_a_period,
            duty_share or {},
            price_increases or {},
            {} if stops is None else _grouped(stops, "from_id", "to_id"),
            calendar,
            today,
            {}
            if substitutes is None
            else {item: found for (item,), found in _grouped(substitutes, "item_id").items()},
        )

    def between(self, from_id: str, to_id: str, item: str) -> list[Record]:
        """The quoted lanes an item can take from one place to another, the one in use first."""
        return [
            lane for lane in self.lanes.get((from_id, to_id), ()) if lane["item_id"] in (None, item)
        ]

    def passed(self, from_id: str, to_id: str, mode: str | None) -> list[Record]:
        """The hubs that goods pass on a way between two places."""
        return [
            stop for stop in self.stops.get((from_id, to_id), ()) if stop["mode"] in (None, mode)
        ]

    def offers(self, item: str, supplier: str, place: str) -> bool:
        """Whether an item can be bought otherwise: by another lane, from another supplier, or
        before its price rises."""
        others = (terms["supplier_id"] != supplier for terms in self.terms.get(item, ()))
        return (
            (item, supplier) in self.price_increases
            or any(others)
            or len(self.between(supplier, place, item)) > 1
        )

    def leg(
        self,
        row: Record,
        to_id: str,
        price: float,
        lane: Record | None = None,
        duty_share: float = 0.0,
    ) -> LandedCost:
        """One lane's landed cost of a unit, from the place a row gets its goods from: by its usual
        lane, or by another one.

        Where no tariff is quoted, the row's freight is what its freight has cost; what part of that
        follows fuel, nobody knows.
        """
        used = self._usual(row, to_id) if lane is None else lane
        days = row["lead_time_days"] if row["kind"] == "transfer" else 0.0
        weight, tariff, index = 1.0, row["freight_per_unit"] or 0.0, 1.0
        if used is not None and _is_quoted(row, used):
            weight, tariff, index = (
                row["weight_kg"],
                used["freight_per_kg"],
                used["fuel_index"] or 1.0,
            )
        share = _fuel_share(row, used)
        return landed_cost(
            price,
            weight_kg=weight,
            freight_per_kg=tariff,
            fuel_share=share,
            fuel_index=index,
            duty_share=duty_share,
            transit_periods=((used or {}).get("transit_days") or days or 0.0) / self.days_a_period,
            holding=row["holding_cost"] or 0.0,
        )

    def fuel_share(self, row: Record) -> float:
        """The part of a row's freight, by its usual lane, that follows the price of fuel; 0 where
        nobody knows."""
        return _fuel_share(row, self._usual(row, row["location_id"]))

    def co2(self, row: Record) -> float:
        """Kilograms of CO2 equivalent that moving a unit of a row by its usual lane emits; NaN
        where lane or weight are not told."""
        lane = self._usual(row, row["location_id"]) or {}
        told = (lane.get("distance_km"), lane.get("co2_per_tonne_km"), row["weight_kg"])
        if any(one is None for one in told):
            return math.nan
        kilometres, per_tonne, weight = map(float, told)
        return kilometres * per_tonne * weight / 1000

    def _usual(self, row: Record, to_id: str) -> Record | None:
        return next(iter(self.between(row["from_id"], to_id, row["item_id"])), None)

    def duty(self, supplier: str) -> float:
        """The duty on what a supplier sends, as a share of price and freight."""
        return self.duty_share.get(supplier, self.duty_share.get(EVERY_SUPPLIER, 0.0))

    def periods(self, days: float) -> int:
        """Whole periods that so many days take."""
        return math.ceil(days / self.days_a_period)

    def until(self, way: Record, days: float) -> int:
        """Whole periods until what is sent for today by a way of so many days is there: it leaves
        on a day of its sender's and is taken in on one of its place's.

        way: kind, from_id and location_id and, where known, lead_time_working_days, in place of
        the days, and departure_days.
        """
        if self.calendar is None or self.today is None:
            return self.periods(days)
        return self.calendar.periods(self.calendar.way({**way, "lead_time_days": days}), self.today)


def _way(kind: str, from_id: str, row: Record) -> Record:
    """What a calendar asks of a way to a row's place."""
    return {"kind": kind, "from_id": from_id, "location_id": row["location_id"]}


def _is_quoted(row: Record, lane: Record | None) -> bool:
    """Whether a lane's tariff says what the row's freight costs."""
    return lane is not None and row["weight_kg"] is not None and lane["freight_per_kg"] is not None


def _fuel_share(row: Record, lane: Record | None) -> float:
    return (lane["fuel_share"] or 0.0) if lane is not None and _is_quoted(row, lane) else 0.0


@dataclass(frozen=True)
class SupplyOptions:
    """The rows of some items with all the places of each, and how goods can get from one to the
    other.

    rows: columns of dim_item_locations, each with the price its normal order is paid at, and where
    a place is closed supplier_periods and opens_in. surplus: (N,) units each row can give away.
    """

    rows: Sequence[Record]
    where: Mapping[tuple[str, str], int]
    siblings: Mapping[tuple[str, str], Sequence[int]]
    surplus: Floats
    logistics: Logistics

    @classmethod
    def of(cls, rows: pl.DataFrame, surplus: Floats, logistics: Logistics) -> SupplyOptions:
        """The ways of every row of a frame with the columns of dim_item_locations. surplus: (N,)
        units each row can give away."""
        records = rows.to_dicts()
        siblings: dict[tuple[str, str], list[int]] = {}
        for i, row in enumerate(records):
            siblings.setdefault((row["item_id"], row["from_id"]), []).append(i)
        return cls(
            records,
            {(row["item_id"], row["location_id"]): i for i, row in enumerate(records)},
            siblings,
            surplus,
            logistics,
        )

    def normal(self, i: int) -> SupplyOption:
        """The row's usual way."""
        row = self.rows[i]
        duty = self.logistics.duty(row["from_id"]) if row["kind"] == "purchase" else 0.0
        landed = self.logistics.leg(row, row["location_id"], row["unit_cost"], duty_share=duty)
        return SupplyOption(
            "normal order",
            row["kind"],
            row["from_id"],
            row["lead_time_periods"],
            row["unit_cost"],
            landed,
            row["moq"] or 0.0,
            row["order_multiple"] or 1.0,
        )

    def others(self, i: int) -> Iterator[SupplyOption]:
        """Every way that is not the row's usual one: another place's surplus, straight from the
        supplier, a faster lane, another supplier, the same order before its price rises."""
        yield from self._transfers(i) if self.rows[i]["kind"] == "transfer" else self._purchases(i)

    def stand_ins(self, i: int) -> Iterator[SupplyOption]:
        """What may be used in the row's place: of each substitute what lies at the same place and
        is not needed there itself."""
        row = self.rows[i]
        for one in self.logistics.substitutes.get(row["item_id"], ()):
            j = self.where.get((one["substitute_id"], row["location_id"]))
            if j is None:
                continue
            there, each = self.rows[j], one["quantity"]
            most = math.floor(min(float(self.surplus[j]), there["on_hand"] or 0.0) / each)
            if most >= 1:
                cost = there["unit_cost"] * each
                yield SupplyOption(
                    f"{one['substitute_id']} in its place",
                    "substitute",
                    one["substitute_id"],
                    0,
                    cost,
                    landed_cost(cost, weight_kg=0.0, freight_per_kg=0.0, fuel_share=0.0),
                    0.0,
                    1.0,
                    float(most),
                    each=each,
                )

    def _transfers(self, i: int) -> Iterator[SupplyOption]:
        row, here = self.rows[i], self.normal(i)
        for j in self.siblings[row["item_id"], row["from_id"]]:
            other, most = self.rows[j], float(self.surplus[j])
            if j != i and other["kind"] == "transfer" and most >= here.multiple:
                days, place = (
                    (row["lead_time_days"] or 0) + (other["lead_time_days"] or 0),
                    other["location_id"],
                )
                landed = here.landed + self.logistics.leg(other, place, 0.0)
                yield SupplyOption(
                    f"from {place}'s surplus",
                    "transfer",
                    place,
                    self.logistics.until(_way("transfer", place, row), days),
                    row["unit_cost"],
                    landed,
                    0.0,
                    here.multiple,
                    most,
                )
        centre = self.where.get((row["item_id"], row["from_id"]))
        if centre is not None and self.rows[centre]["kind"] == "purchase":
            source, bought = self.rows[centre], self.normal(centre)
            periods = source.get(
                "supplier_periods", source["lead_time_periods"]
            ) + self.logistics.periods(row["lead_time_days"] or 0)
            landed = bought.landed + self.logistics.leg(row, row["location_id"], 0.0)
            yield SupplyOption(
                f"straight from {bought.from_id}",
                "purchase",
                bought.from_id,
                periods,
                bought.unit_cost,
                landed,
                bought.moq,
                bought.multiple,
            )

    def _purchases(self, i: int) -> Iterator[SupplyOption]:
        row, here, by = self.rows[i], self.normal(i), self.logistics
        supplier, place, item, duty = (
            row["from_id"],
            row["location_id"],
            row["item_id"],
            by.duty(row["from_id"]),
        )
        quoted = by.between(supplier, place, item)
        for fast in quoted[1:]:
            saved = (quoted[0]["transit_days"] or 0) - (
                math.inf if fast["transit_days"] is None else fast["transit_days"]
            )
            if saved > 0 and row["weight_kg"] is not None and fast["freight_per_kg"] is not None:
                way = _way("purchase", supplier, row)
                periods, landed = (
                    by.until(way, max(row["lead_time_days"] - saved, 0)),
                    by.leg(row, place, here.unit_cost, fast, duty),
                )
                name = f"by {fast['mode']} from {supplier}"
                yield SupplyOption(
                    name,
                    "purchase",
                    supplier,
                    periods,
                    here.unit_cost,
                    landed,
                    here.moq,
                    here.multiple,
                )
        for other in by.terms.get(item, ()):
            if (theirs := other["supplier_id"]) != supplier:
                cost = other["unit_cost"] or here.unit_cost
                landed = by.leg({**row, "from_id": theirs}, place, cost, duty_share=by.duty(theirs))
                yield SupplyOption(
                    f"from {theirs} instead",
                    "purchase",
                    theirs,
                    by.until({**other, **_way("purchase", theirs, row)}, other["lead_time_days"]),
                    cost,
                    landed,
                    other["moq"] or 0.0,
                    other["order_multiple"] or 1.0,
                )
        if (
            rise := by.price_increases.get((item, supplier))
        ) is not None and rise.unit_cost > here.unit_cost:
            dearer = by.leg(row, place, rise.unit_cost, duty_share=duty)
            yield SupplyOption(
                f"buy ahead of the price of {rise.starts_on}",
                "purchase",
                supplier,
                here.periods,
                here.unit_cost,
                here.landed,
                here.moq,
                here.multiple,
                saves=float(dearer.total) - here.cost,
            )


def _grouped(frame: pl.DataFrame, *keys: str) -> dict[tuple[Any, ...], list[Record]]:
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in frame.iter_rows(named=True):
        groups.setdefault(tuple(record[key] for key in keys), []).append(record)
    return groups
