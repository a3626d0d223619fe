"""The stock: opening counts, transfers, purchases and receipts that make the real sales possible.

A plain simulation that knows the future: each replenishment covers what will really leave until the
next one arrives, plus a buffer, so stock never goes below zero. Where the buffer is zero it touches
zero: these are the sample's stock-outs. Times of a day: receipts 06:00, transfers leave 07:00,
sales as invoiced, adjustments 20:45, counts 21:00.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from generator.calendar import FRIDAY, LAST, SATURDAY, WEDNESDAY, indices, stream
from generator.company import KITS, LANES, SUPPLIERS, Item
from generator.invoices import Flows, Pair
from generator.lateness import Lateness

_FAR = LAST + 120  # the pipeline beyond the last day is sized for recent average demand up to here


@dataclass(frozen=True)
class Transfer:
    """Units of one item on their way from DC1 to a location; days are indices, arrived_on may lie
    after the last day."""

    transfer_id: str
    item_id: str
    location_id: str
    quantity: int
    sent_on: int
    due_on: int
    arrived_on: int


@dataclass(frozen=True)
class Purchase:
    """One line of a purchase order to DC1; receipts are (day index, units) and may lie after the
    last day. A line that ended otherwise than by receipt says how, and on which day."""

    order_id: str
    line: int
    item: Item
    quantity: int
    ordered_on: int
    due_on: int
    receipts: tuple[tuple[int, int], ...]
    is_free: bool = False
    status: str | None = None
    ended_on: int | None = None


@dataclass
class Books:
    """Everything that moved stock, and the opening stock that it started from."""

    opening: dict[Pair, int] = field(default_factory=dict)
    adjustments: dict[Pair, Counter[int]] = field(default_factory=dict)
    transfers: list[Transfer] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)

    def balances(self, outflow: dict[Pair, Counter[int]]) -> dict[Pair, list[int]]:
        """Stock at the close of every day, element 0 before the first day.

        Opening + receipts - sales net of returns ± adjustments - transfers out + transfers in.
        """
        moves: dict[Pair, Counter[int]] = {pair: Counter() for pair in self.opening}
        for pair, daily in outflow.items():
            moves[pair].subtract(daily)
        for pair, daily in self.adjustments.items():
            moves[pair].update(daily)
        for sent in self.transfers:
            moves[sent.item_id, "DC1"][sent.sent_on] -= sent.quantity
            moves[sent.item_id, sent.location_id][sent.arrived_on] += sent.quantity
        for line in self.purchases:
            for index, units in line.receipts:
                moves[line.item.item_id, "DC1"][index] += units
        return {pair: _running(self.opening[pair], moves[pair]) for pair in moves}


def keep_books(flows: Flows, master: dict[str, Item], lateness: Lateness) -> Books:
    """Run both echelons: locations first, because what they call for is the distribution centre's
    demand."""
    books = Books()
    for code, place in flows.pairs:
        first = flows.first_sale[code, place]
        books.adjustments[code, place] = _count_differences((code, place), first)
        books.adjustments.setdefault((code, "DC1"), _count_differences((code, "DC1"), first))
    for place, transit in LANES.items():
        _supply_location(books, flows, master, lateness, place, transit)
    books.transfers = [
        Transfer(
            f"TR-{number:06d}",
            *(getattr(sent, name) for name in list(Transfer.__dataclass_fields__)[1:]),
        )
        for number, sent in enumerate(
            sorted(
                books.transfers, key=lambda sent: (sent.sent_on, sent.location_id, sent.item_id)
            ),
            1,
        )
    ]
    called: dict[str, Counter[int]] = defaultdict(Counter)
    for sent in books.transfers:
        called[sent.item_id][sent.sent_on] += sent.quantity
    for supplier in SUPPLIERS:
        ordered = indices(supplier.ordered_on, -40, LAST)
        arrivals = _in_turn(
            [
                index + supplier.lead_time_days + lateness.of_purchase(supplier, index)
                for index in ordered
            ]
        )
        for one in master.values():
            if one.supplier == supplier and one.item_id not in KITS:
                _supply_centre(books, one, called[one.item_id], ordered, arrivals)
    books.purchases = _ended_otherwise(_numbered(books.purchases), master)
    return books


def _supply_location(
    books: Books,
    flows: Flows,
    master: dict[str, Item],
    lateness: Lateness,
    place: str,
    transit: int,
) -> None:
    """Two consignments a week, Wednesday and Saturday, from DC1 to one location."""
    sent = sorted(indices(SATURDAY, 0, LAST) + indices(WEDNESDAY, 0, LAST))
    arrivals = _in_turn([index + transit + lateness.of_transfer(place, index) for index in sent])
    for pair in (pair for pair in flows.pairs if pair[1] == place):
        draw = stream("buffer", *pair)
        outflow = Counter(flows.outflow[pair])
        outflow.subtract(books.adjustments[pair])
        if draw.random() < 0.06:  # kept without a buffer: stock touches zero here
            plan = Replenishment(
                outflow, buffer_days=0, buffer_units=0, lot_days=4, moq=1, multiple=1
            )
        else:
            plan = Replenishment(outflow, 2 + 4 * draw.random(), 2, 7, 1, master[pair[0]].pack_size)
        books.opening[pair], quantities = plan.size(arrivals)
        for index, arrived, quantity in zip(sent, arrivals, quantities, strict=True):
            if quantity:
                books.transfers.append(
                    Transfer("", pair[0], place, quantity, index, index + transit, arrived)
                )


def _supply_centre(
    books: Books, one: Item, called: Counter[int], ordered: Sequence[int], arrivals: Sequence[int]
) -> None:
    """A weekly chance to order from the supplier; orders that arrived before the first day are part
    of the opening stock."""
    pair, draw = (one.item_id, "DC1"), stream("order", one.item_id)
    outflow = Counter(called)
    outflow.subtract(books.adjustments[pair])
    used = [
        (placed, arrived) for placed, arrived in zip(ordered, arrivals, strict=True) if arrived >= 0
    ]
    plan = Replenishment(outflow, 3 + 9 * draw.random(), 0, 21, one.moq, one.order_multiple)
    books.opening[pair], quantities = plan.size([arrived for _placed, arrived in used])
    for (placed, arrived), quantity in zip(used, quantities, strict=True):
        if quantity:
            split = draw.random() < 0.05 and quantity > 1 and arrived - placed > 5 and arrived > 2
            receipts = (
                ((arrived - 2, quantity // 2), (arrived, quantity - quantity // 2))
                if split
                else ((arrived, quantity),)
            )
            books.purchases.append(
                Purchase(
                    "", 0, one, quantity, placed, placed + one.supplier.lead_time_days, receipts
                )
            )


@dataclass(frozen=True)
class Replenishment:
    """How one item is replenished at one place: what leaves by day, the buffer (days of demand, at
    least so many units), and the lot."""

    outflow: Counter[int]
    buffer_days: float
    buffer_units: int
    lot_days: float
    moq: int
    multiple: int

    def size(self, arrivals: Sequence[int]) -> tuple[int, list[int]]:
        """The opening stock and the quantity arriving with each consignment that keep stock at zero
        or above on every day.

        The stock must last to the day before the next arrival; the highest running total of what
        leaves by then is what it takes.
        """
        peak = self._peak()
        opening = (
            math.ceil(peak[arrivals[0] - 1] + self._buffer(0, peak[arrivals[0] - 1]))
            if arrivals[0] > 0
            else 0
        )
        supply, quantities = opening, []
        for arrival, following in pairwise([*arrivals, arrivals[-1] + 7]):
            used = peak[min(following - 1, _FAR)]
            need = used + self._buffer(arrival, used) - supply
            quantity = 0
            if need > 0 and following > arrival:
                lots = math.ceil(
                    max(need, self._daily(arrival) * self.lot_days, self.moq) / self.multiple
                )
                quantity = lots * self.multiple
            supply += quantity
            quantities.append(quantity)
        return opening, quantities

    def _buffer(self, index: int, used: float) -> float:
        """What should be left over, once the item has begun to sell at all."""
        return max(self._daily(index) * self.buffer_days, self.buffer_units) if used > 0 else 0.0

    def _peak(self) -> list[float]:
        """The running maximum of all that has left by each day; beyond the last day demand goes on
        at its recent average."""
        recent = self._daily(LAST)
        total, highest, peaks = 0.0, 0.0, []
        for index in range(_FAR + 1):
            total += self.outflow[index] if index <= LAST else recent
            highest = max(highest, total)
            peaks.append(highest)
        return peaks

    def _daily(self, index: int) -> float:
        """Average demand a day in the 28 days around a day (the 91 days before, at the end); spikes
        cancelled within a day do not count."""
        low, high = (
            (LAST - 91, LAST) if index >= LAST else (max(0, index - 14), min(LAST, index + 14))
        )
        return max(0.0, sum(self.outflow[at] for at in range(low, high + 1)) / (high - low + 1))


def _in_turn(arrivals: list[int]) -> list[int]:
    """Consignments on one lane do not overtake each other."""
    for place in range(1, len(arrivals)):
        arrivals[place] = max(arrivals[place], arrivals[place - 1])
    return arrivals


def _count_differences(pair: Pair, first_sale: int) -> Counter[int]:
    """Small differences found when counting on a Friday, about one in two years for an item at a
    place that has begun to sell."""
    draw = stream("difference", *pair)
    fridays = indices(FRIDAY, first_sale + 7, LAST)
    return Counter(
        {
            index: draw.choice((-3, -2, -1, -1, -1, 1, 2))
            for index in fridays
            if draw.random() < 0.01
        }
    )


def _numbered(lines: list[Purchase]) -> list[Purchase]:
    """One order a supplier and day; lines counted from 1 in the order of their items."""
    numbered: list[Purchase] = []
    orders: dict[tuple[int, str], list[Purchase]] = defaultdict(list)
    for one in lines:
        orders[one.ordered_on, one.item.supplier.supplier_id].append(one)
    for number, key in enumerate(sorted(orders), 1):
        for place, one in enumerate(sorted(orders[key], key=lambda one: one.item.item_id), 1):
            numbered.append(
                Purchase(
                    f"PO-{10000 + number}",
                    place,
                    one.item,
                    one.quantity,
                    one.ordered_on,
                    one.due_on,
                    one.receipts,
                )
            )
    return numbered


def _ended_otherwise(lines: list[Purchase], master: dict[str, Item]) -> list[Purchase]:
    """Some lines more that the supplier cancelled, the last of them a few days ago; some of which a
    part never came and was given up; and one free of charge, for goods that came broken.

    None of it moves stock: what was received stays as it was.
    """
    draw = stream("ended otherwise")
    whole = [line for line in lines if 0 <= line.ordered_on < LAST - 60 and line.quantity > 1]
    chosen = draw.sample(whole, 9)
    recent = [line for line in lines if LAST - 14 < line.ordered_on <= LAST - 7]
    ended = {
        (line.order_id, line.line): replace(
            line,
            quantity=line.quantity + line.item.order_multiple,
            status="closed short",
            ended_on=line.receipts[-1][0] + 5,
        )
        for line in chosen[:4]
    }
    free = chosen[4]
    ended[free.order_id, free.line] = replace(free, is_free=True)
    called_off = [_called_off(line, lines, master) for line in (*chosen[5:], recent[-1])]
    kept = [ended.get((line.order_id, line.line), line) for line in lines]
    return sorted([*kept, *called_off], key=lambda line: (line.order_id, line.line))


def _called_off(line: Purchase, lines: list[Purchase], master: dict[str, Item]) -> Purchase:
    """A last line of the same order, for an item of the supplier that is not in it (or the same
    again), that he cancelled."""
    mates = [other for other in lines if other.order_id == line.order_id]
    ordered = {other.item.item_id for other in mates}
    missing = (
        one
        for one in master.values()
        if one.supplier == line.item.supplier and one.item_id not in {*ordered, *KITS}
    )
    other = next(missing, line.item)
    return Purchase(
        line.order_id,
        max(mate.line for mate in mates) + 1,
        other,
        other.moq,
        line.ordered_on,
        line.due_on,
        (),
        status="cancelled",
        ended_on=line.ordered_on + 4,
    )


def _running(opening: int, moves: Counter[int]) -> list[int]:
    levels, level = [opening], opening
    for index in range(LAST + 1):
        level += moves[index]
        levels.append(level)
    return levels
