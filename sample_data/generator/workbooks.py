"""The spreadsheets, as people make them: titles, merged headers, notes below, numbers typed as
text, a comma for a point."""

from __future__ import annotations

from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from generator.calendar import END, LAST, LISTED, RENEGOTIATED, stream
from generator.company import CAPACITY, KITS, LANES, SUCCESSORS, Item
from generator.invoices import Flows, Pair
from generator.write import write_workbook

BOLD = Font(bold=True)
PLACES = ("DC1", *LANES)
SERVICE = {
    "A": (0.97, ("Bags", "Kitchen")),
    "B": (0.95, ("Decoration", "Light", "Paper", "Seasonal")),
    "C": (0.9, ("Garden", "Other", "Toys")),
}
CONSTRAINTS: tuple[tuple[str, str, float, str], ...] = (
    ("budget", "all", 12000, "GBP for the purchases of one review"),
    *(
        ("service_level", name, share, f"class {letter}")
        for letter, (share, names) in SERVICE.items()
        for name in names
    ),
    *(("capacity", place, units, "units on the shelves") for place, units in CAPACITY.items()),
    ("truck_kg", "DC1", 12000, "one lorry a departure"),
    ("supplier_minimum", "S03", 400, "GBP, the least order he takes"),
    ("supplier_minimum_kg", "S10", 60, "kg, the least he ships"),
    ("supplier_minimum_units", "S09", 1000, "units, the least he packs"),
)


def supplier_terms(out: Path, master: dict[str, Item]) -> None:
    """Two versions: November 2010, and June 2011 for the suppliers that raised their prices, whose
    sheet has another word for the price. A lead time is in days or in working days."""
    for known_on, raised in ((LISTED, False), (RENEGOTIATED, True)):
        book = Workbook()
        sheet = book.active
        sheet.title = "Terms"
        sheet["A1"], sheet["A2"] = "Supplier terms", f"as agreed, valid from {known_on:%d/%m/%Y}"
        sheet["A1"].font = Font(bold=True, size=14)
        sheet.append([])
        sheet.append(
            [
                "Supplier",
                "Item",
                "Description",
                "Lead time (days)",
                "Working days",
                "MOQ",
                "Order multiple",
                "Quantity from",
                "Unit",
                "Unit price" if raised else "Price",
                "Currency",
                "Keeps (days)",
            ]
        )
        for cell in sheet[4]:
            cell.font = BOLD
        for one in sorted(master.values(), key=lambda one: (one.supplier.supplier_id, one.item_id)):
            supplier = one.supplier
            if one.item_id in KITS or (raised and not supplier.raises_prices):
                continue
            for from_quantity, cost in one.breaks(raised):
                sheet.append(
                    [
                        supplier.supplier_id,
                        one.item_id,
                        one.name,
                        None if supplier.lead_time_working_days else supplier.lead_time_days,
                        supplier.lead_time_working_days,
                        one.moq // one.sold_by,
                        one.order_multiple // one.sold_by,
                        from_quantity,
                        "case" if supplier.sells_cases else "piece",
                        cost,
                        supplier.currency,
                        one.shelf_life_days and supplier.keeps_days,
                    ]
                )
        sheet.append([])
        sheet.append(["Notes"])
        sheet.append(
            [
                (
                    "Lead times are promised from order to goods in at DC1. Prices ex works, "
                    "freight "
                    "is on the lanes."
                )
            ]
        )
        sheet.append(["The second line of an item is its price break."])
        write_workbook(out / f"supplier_terms_{known_on}.xlsx", book)


def kits(out: Path, master: dict[str, Item]) -> None:
    """What kits are made of: each named once, in a cell merged over its parts."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Kits"
    sheet.append(["Kit", "Description", "Takes", "Number"])
    for cell in sheet[1]:
        cell.font = BOLD
    for kit, parts in KITS.items():
        first = sheet.max_row + 1
        for part, count in parts.items():
            sheet.append([kit, master[kit].name, part, count])
        for column in (1, 2):
            for row in range(first + 1, sheet.max_row + 1):
                sheet.cell(row, column).value = None
            sheet.merge_cells(
                start_row=first, end_row=sheet.max_row, start_column=column, end_column=column
            )
    write_workbook(out / "kits.xlsx", book)


def range_changes(out: Path) -> None:
    """What leaves the range, and what takes its place."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Range"
    sheet.append(["Leaves", "Replaced by", "From", "Announced"])
    for cell in sheet[1]:
        cell.font = BOLD
    for item, (successor, starts_on, announced_on) in SUCCESSORS.items():
        sheet.append([item, successor, starts_on, announced_on])
    write_workbook(out / "range_changes.xlsx", book)


def constraints(out: Path) -> None:
    """The planner's own sheet: budget, service classes, capacity."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Planner"
    sheet["A1"] = "What the plan has to respect"
    sheet["A1"].font = Font(bold=True, size=14)
    sheet.merge_cells("A1:E1")
    sheet.append([])
    sheet.append(["Constraint", "Scope", "Value", "Known from", "Remark"])
    for cell in sheet[3]:
        cell.font = BOLD
    for name, scope, value, remark in CONSTRAINTS:
        sheet.append([name, scope, value, LISTED.isoformat(), remark])
    sheet.append([])
    sheet.append(["Notes", "ask before changing the budget"])
    write_workbook(out / "planner_constraints.xlsx", book)


def stock_count(out: Path, flows: Flows, balances: dict[Pair, list[int]]) -> None:
    """The count of the last evening: a title block, a merged header over the places, text and comma
    decimals among numbers, a total."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Count"
    draw = stream("stock count")
    sheet["A1"], sheet["A2"], sheet["A3"] = (
        "Stock count",
        f"Friday {END:%d/%m/%Y}, 21:00, all places",
        "counted by the night shift",
    )
    sheet["A1"].font = Font(bold=True, size=16)
    sheet["C5"] = "Units on hand"
    sheet.merge_cells(start_row=5, end_row=5, start_column=3, end_column=2 + len(PLACES))
    sheet["C5"].alignment = Alignment(horizontal="center")
    for column, name in enumerate(("Item", "Counted at", *PLACES), 1):
        sheet.cell(6, column, name).font = BOLD
    for code in (code for code in flows.items if code not in KITS):
        counted = [
            balances[code, place][LAST + 1] if (code, place) in balances else None
            for place in PLACES
        ]
        sheet.append(
            [code, f"{END} 21:00:00", *(_typed(units, draw.random()) for units in counted)]
        )
    totals = [
        sum(balances[code, place][LAST + 1] for code in flows.items if (code, place) in balances)
        for place in PLACES
    ]
    sheet.append(["Total", None, *totals])
    for cell in sheet[sheet.max_row]:
        cell.font = BOLD
    write_workbook(out / f"stock_count_{END}.xlsx", book)


def _typed(units: int | None, luck: float) -> int | str | None:
    """How a number got into the cell: as a number, now and then as text, rarely with a comma
    decimal."""
    if units is None or luck > 0.09:
        return units
    return f"{units},0" if luck < 0.03 else str(units)
