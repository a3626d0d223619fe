"""What the forwarders' system hands over: shipments and lanes as JSON lines, freight in USD, words
where numbers should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import fsum
from pathlib import Path

from generator.calendar import LAST, LISTED, at, day
from generator.company import LANES, SUPPLIERS, Item
from generator.lateness import Freight, Lateness
from generator.stock import Books, Purchase, Transfer
from generator.write import write_jsonl

Row = dict[str, object]
FUEL_SHARE = {"Air": 0.3, "Ocean": 0.4, "Truck": 0.25}
#: kilometres a day on the way, and kg of CO2 equivalent a tonne-km: round figures of the order of
#: the GLEC Framework's defaults
KM_A_DAY = {"Air": 1500, "Ocean": 620, "Truck": 420}
CO2_A_TONNE_KM = {"Air": 0.6, "Ocean": 0.012, "Truck": 0.085}
#: the port that all ships call at, and how many days before DC1
PORT, ON_LAND = "FELIXSTOWE", 2


@dataclass(frozen=True)
class Consignment:
    """What travels together under one advance shipping notice; contents are (order, line, item,
    quantity), empty for own lorries."""

    from_id: str
    to_id: str
    mode: str
    shipped_on: int
    promised_on: int
    delivered_on: int
    weight_kg: float
    freight: Freight
    contents: tuple[tuple[str | None, int | None, str | None, int | None], ...] = (
        (None, None, None, None),
    )


def write(out: Path, master: dict[str, Item], books: Books, lateness: Lateness) -> None:
    """shipments.jsonl and lanes.jsonl."""
    consignments = [*_inbound(books, lateness), *_outbound(books, master, lateness)]
    consignments.sort(key=lambda one: (one.delivered_on, one.from_id, one.to_id, one.shipped_on))
    write_jsonl(out / "shipments.jsonl", _lines(consignments))
    lanes = [(one.supplier_id, "DC1", one.mode, one.transit_days) for one in SUPPLIERS]
    lanes += [("DC1", place, "Truck", transit) for place, transit in LANES.items()]
    write_jsonl(
        out / "lanes.jsonl",
        (
            {
                "from": start,
                "to": stop,
                "mode": mode,
                "transit_days": transit,
                "freight_usd_per_kg": lateness.usual_usd_per_kg(mode),
                "fuel_share": FUEL_SHARE[mode],
                "km": KM_A_DAY[mode] * transit,
                "co2_kg_per_tkm": CO2_A_TONNE_KM[mode],
                "departs": "wed, sat" if stop == "IE" else None,
                "port": PORT if mode == "Ocean" else None,
                "port_after_days": transit - ON_LAND if mode == "Ocean" else None,
                "quoted_on": LISTED.isoformat(),
            }
            for start, stop, mode, transit in lanes
        ),
    )


def _inbound(books: Books, lateness: Lateness) -> Iterator[Consignment]:
    """Supplier to DC1: the lines of one order that arrive on one day travel together."""
    arriving: dict[tuple[str, int], list[tuple[Purchase, int]]] = defaultdict(list)
    for line in books.purchases:
        for index, units in line.receipts:
            arriving[line.order_id, index].append((line, units))
    for (order, index), lines in arriving.items():
        first = lines[0][0]
        supplier = first.item.supplier
        left = max(index - supplier.transit_days, first.ordered_on + 1)
        if left <= LAST:
            yield Consignment(
                supplier.supplier_id,
                "DC1",
                supplier.mode,
                left,
                first.due_on,
                index,
                fsum(line.item.weight_kg * units for line, units in lines),
                lateness.freight(supplier.mode, order, index),
                tuple((order, line.line, line.item.item_id, units) for line, units in lines),
            )


def _outbound(books: Books, master: dict[str, Item], lateness: Lateness) -> Iterator[Consignment]:
    """DC1 to a location: one lorry a departure, its contents are known to the ERP alone."""
    lorries: dict[tuple[str, int], list[Transfer]] = defaultdict(list)
    for sent in books.transfers:
        lorries[sent.location_id, sent.sent_on].append(sent)
    for (place, left), load in lorries.items():
        weight = fsum(master[sent.item_id].weight_kg * sent.quantity for sent in load)
        yield Consignment(
            "DC1",
            place,
            "Truck",
            left,
            load[0].due_on,
            load[0].arrived_on,
            weight,
            lateness.freight("Truck", place, left),
        )


def _lines(consignments: list[Consignment]) -> Iterator[Row]:
    """Numbered as SCMS does: the first line of a notice carries weight and freight, the others
    point to it in words."""
    number = 0
    for notice, one in enumerate(consignments, 1):
        first = number + 1
        is_delivered = one.delivered_on <= LAST
        for order, line, item, quantity in one.contents:
            number += 1
            weight = cost = f"See ASN-{notice} (ID#:{first})"
            if number == first:
                weight = one.freight.weight_words or f"{one.weight_kg:.1f}"
                cost = (
                    one.freight.cost_words
                    if one.freight.usd_per_kg is None
                    else f"{one.freight.usd_per_kg * one.weight_kg:.2f}"
                )
            yield {
                "id": number,
                "asn": f"ASN-{notice}",
                "order": order,
                "line": line,
                "from": one.from_id,
                "to": one.to_id,
                "mode": one.mode,
                "item": item,
                "quantity": quantity,
                "weight_kg": weight,
                "freight_usd": cost,
                "shipped_at": at(one.shipped_on, "07:00"),
                "promised_on": day(one.promised_on).isoformat(),
                "delivered_at": at(one.delivered_on, "06:00") if is_delivered else None,
                "recorded_at": at(one.delivered_on if is_delivered else one.shipped_on, "09:00"),
            }
