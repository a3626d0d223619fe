"""What `stockhouse run` has to say of each shared case: how it ends, how many lines it orders, and
words that a person must read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases"


@dataclass(frozen=True)
class Expected:
    """code: how the command ends. lines: order lines, None where it does not matter. words: what it
    prints, somewhere. values: what a query of the warehouse answers."""

    until: str = "publish"
    code: int = 0
    lines: int | None = None
    words: tuple[str, ...] = ()
    values: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)


POSITION = "select on_hand, on_order, position from marts.fct_stock_positions"
ON_HAND = "select on_hand from marts.fct_stock_positions"
SOLD = "select item_id, count(*) from marts.fct_demand where is_current group by all"
#: Cases that are told at the door or at its gate: seconds each.
AT_THE_DOOR = {
    "planner_words": Expected(code=1, words=("Every limit is one of", "nearest=")),
    "two_date_orders": Expected("land", words=("different days by different formats", "rows")),
    "excel_lock_file": Expected("land", code=1, words=("~$terms.xlsx", "what day it is")),
}
#: Cases that run to orders: a minute each on a quiet machine, so `make drill` runs them.
TO_ORDERS = {
    "stock_by_bin": Expected(lines=0, words=("they are added up",), values={ON_HAND: [(360,)]}),
    "cancelled_orders": Expected(lines=0),
    "unit_words": Expected(lines=1, words=("Every unit in sales", "Case of 12")),
    "ids_with_slash": Expected(lines=2),
    "alias_chain": Expected(lines=1, values={SOLD: [("A1", 30)]}),
    "open_po_of_last_year": Expected(lines=1, words=("overdue order",)),
    "stock_elsewhere": Expected(words=("stock elsewhere",)),
    "receipt_line_zeros": Expected(words=("new orders",), values={POSITION: [(168, 0, 168)]}),
    "identity_row_counts_once": Expected(
        code=2, words=("No row stands twice", "At least two periods are over")
    ),
    "weeks_from_midweek": Expected("transform"),
    "seven_months": Expected(lines=2),
    "short_history": Expected(lines=1),
    "po_without_supplier": Expected(lines=1),
    "shipment_without_date": Expected(lines=1),
    "header_with_unit_in_brackets": Expected(lines=1),
    "one_bad_encoding": Expected(words=("60 in quarantine",)),
    "one_future_date": Expected(lines=1, words=("of this time",)),
    "year_typo": Expected(lines=1, words=("of this time",)),
    "location_climbs_out": Expected(lines=2),
    "location_with_umlaut": Expected(lines=2),
    "supplier_with_umlaut": Expected(lines=2),
}


def run_case(case: str, expected: Expected, home: Path) -> list[str]:
    """Run a case as a person does and say what is not as expected."""
    command = [str(Path(sys.executable).parent / "stockhouse"), "run", str(CASES / case)]
    command += ["--home", str(home), "--until", expected.until]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    said = " ".join((done.stdout + done.stderr).split())
    found = [] if done.returncode == expected.code else [f"ends with {done.returncode}: {said}"]
    found += [f"does not say `{words}`: {said}" for words in expected.words if words not in said]
    if expected.lines is not None and (count := len(_orders(home))) != expected.lines:
        found.append(f"orders {count} lines, not {expected.lines}")
    if outside := sorted(place.name for place in home.parent.iterdir() if place != home):
        found.append(f"wrote outside its home: {', '.join(outside)}")
    return found + _odd_values(home / "derived" / "warehouse.duckdb", expected.values)


def _odd_values(warehouse: Path, values: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    if not values:
        return []
    with duckdb.connect(str(warehouse), read_only=True) as con:
        answers = {sql: con.execute(sql).fetchall() for sql in values}
    return [
        f"{sql}: {answers[sql]}, not {said}" for sql, said in values.items() if answers[sql] != said
    ]


def _orders(home: Path) -> list[dict[str, Any]]:
    command = [str(Path(sys.executable).parent / "stockhouse"), "orders", "--home", str(home)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return list(told["orders"] if isinstance(told, dict) else told)
