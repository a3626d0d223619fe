"""What the warehouse system says of a few items in DC1 on the last evening: bin by bin and lot by
lot, in pallets, cases and pieces, and what of it cannot be sold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from generator.calendar import LAST, at, day
from generator.company import PALLET, Item
from generator.invoices import Pair
from generator.write import write_csv

Row = dict[str, object]
#: item → share of its stock in a lot that is blocked until it has been looked at
BLOCKED = {"22326": 0.4, "79321": 0.1}
#: item → share of its stock in a lot that is past its date
EXPIRED = {"17012F": 0.25, "21714": 0.2}
#: item → share of its stock in a lot that is past its date so many days later
SOON = {"17012F": (0.5, 12), "21714": (0.5, 18)}
#: item → share of its stock that is kept for somebody
RESERVED = {"21212": 0.1}
#: counted by the pallet and the case, as they came
PACKED = ("20972", "21976", "84978")
COLUMNS = ("item", "bin", "lot", "status", "expires_on", "quantity", "unit", "reserved")


def write(out: Path, master: dict[str, Item], balances: dict[Pair, list[int]]) -> None:
    """bins.csv: an hour after the count, and as much of each item."""
    rows = [
        row
        for code in sorted({*BLOCKED, *EXPIRED, *RESERVED, *PACKED})
        for row in _bins(master[code], balances[code, "DC1"][LAST + 1])
    ]
    write_csv(out / "bins.csv", ({**row, "counted_at": at(LAST, "22:00")} for row in rows))


def _bins(one: Item, units: int) -> Iterator[Row]:
    """The bins of an item: what is set aside first, then what can be sold."""
    code = one.item_id
    aside = int(units * (BLOCKED.get(code, 0) or EXPIRED.get(code, 0)))
    if code in BLOCKED:
        yield _row(one, "Q-01", "L2", aside, status="blocked")
    if code in EXPIRED:
        yield _row(one, "B-07", "L1", aside, expires=LAST - 40)
    if code in PACKED:
        case, pallet = one.sold_by, one.sold_by * PALLET
        parts = {"pallet": units // pallet, "case": units % pallet // case, "piece": units % case}
        for number, (unit, count) in enumerate(parts.items(), 1):
            yield _row(one, f"P-{number:02d}", "L1", count, unit=unit)
        return
    share, days = SOON.get(code, (0.0, 0))
    soon = int(units * share)
    if soon:
        yield _row(one, "C-02", "L4", soon, expires=LAST + days)
    kept = int(units * RESERVED.get(code, 0))
    expires = LAST + 400 if code in EXPIRED else None
    yield _row(one, "A-11", "L3", units - aside - soon, expires=expires, reserved=kept or None)


def _row(
    one: Item,
    place: str,
    lot: str,
    quantity: int,
    *,
    status: str = "available",
    expires: int | None = None,
    unit: str = "piece",
    reserved: int | None = None,
) -> Row:
    values = (
        one.item_id,
        place,
        lot,
        status,
        None if expires is None else day(expires).isoformat(),
        quantity,
        unit,
        reserved,
    )
    return dict(zip(COLUMNS, values, strict=True))
