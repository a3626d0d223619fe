"""Rewrites everything in this folder that is not written by hand, byte for byte, from one seed.

python sample_data/generate.py                  # from the real rows that are committed here
python sample_data/generate.py ../shared/data   # those too, from the public archives
(uci_online_retail/, scms/)
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from generator import (
    bins,
    extracts,
    invoices,
    lateness,
    logistics,
    orders,
    signals,
    workbooks,
    workshop,
)
from generator.calendar import LAST, day
from generator.company import (
    KITS,
    assortment_rows,
    holiday_rows,
    item_rows,
    items,
    location_rows,
    price_rows,
    supplier_rows,
    unit_rows,
)
from generator.invoices import Flows
from generator.lateness import Lateness
from generator.money import rate_rows
from generator.stock import keep_books
from generator.write import write_csv

HERE = Path(__file__).parent


def extract(raw: Path, out: Path) -> None:
    """Copy the real rows out of the public archives."""
    shutil.rmtree(out / "erp/invoices", ignore_errors=True)
    invoices.extract(raw / "uci_online_retail/by-day.tar.gz", out / "erp/invoices")
    lateness.extract(
        raw / "scms/SCMS_Delivery_History_Dataset.csv", out / "logistics/scms_rows.csv"
    )


def generate(real: Path, out: Path) -> None:
    """Write all that is generated into `out`, from the real rows that lie in `real`."""
    flows = Flows.read(real / "erp/invoices", KITS)
    drawn = Lateness(real / "logistics/scms_rows.csv")
    master = items(flows)
    books = keep_books(flows, master, drawn)
    balances = books.balances(flows.outflow)
    lowest = min(balances, key=lambda pair: min(balances[pair]))
    if min(balances[lowest]) < 0:
        raise SystemExit(
            f"stock of {lowest[0]} at {lowest[1]} falls to {min(balances[lowest])}: the simulation "
            "is at fault"
        )
    months = [index for index in range(LAST + 1) if day(index).day == 1]
    write_csv(out / "erp/items.csv", item_rows(master))
    write_csv(out / "erp/suppliers.csv", supplier_rows())
    write_csv(out / "erp/locations.csv", location_rows())
    write_csv(out / "erp/assortment.csv", assortment_rows(flows))
    write_csv(out / "erp/price_list.csv", price_rows(flows, master, months))
    write_csv(out / "erp/units.csv", unit_rows(master))
    write_csv(out / "erp/holidays.csv", holiday_rows())
    for year in (2010, 2011):
        write_csv(out / f"erp/exchange_rates/year={year}/rates.csv", rate_rows(year))
    orders.write(out / "erp")
    workshop.write(out / "erp")
    extracts.erp(out / "erp", flows, books, balances)
    logistics.write(out / "logistics", master, books, drawn)
    bins.write(out / "logistics", master, balances)
    workbooks.supplier_terms(out / "spreadsheets", master)
    workbooks.constraints(out / "spreadsheets")
    workbooks.kits(out / "spreadsheets", master)
    workbooks.range_changes(out / "spreadsheets")
    workbooks.stock_count(out / "spreadsheets", flows, balances)
    signals.write(out / "signals")


def main() -> None:
    """Parse the two arguments and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "raw",
        nargs="?",
        type=Path,
        help="folder of the public data; without it the committed real rows are used",
    )
    parser.add_argument(
        "--out", type=Path, default=HERE, help="where to write (default: this folder)"
    )
    arguments = parser.parse_args()
    if arguments.raw:
        extract(arguments.raw, arguments.out)
    generate(arguments.out if arguments.raw else HERE, arguments.out)
    print(
        f"{sum(1 for path in arguments.out.rglob('*') if path.is_file())} files in {arguments.out}"
    )


if __name__ == "__main__":
    main()
