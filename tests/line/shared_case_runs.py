"""What `stockhouse run` has to say of each shared case: how it ends, how many lines it orders, and
words that a person must read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases"


@dataclass(frozen=True)
class Expected:
    """code: how the command ends. lines: order lines, None where it does not matter. words: what it
    prints, somewhere."""

    until: str = "publish"
    code: int = 0
    lines: int | None = None
    words: tuple[str, ...] = ()


#: Cases that are told at the door or at its gate: seconds each.
AT_THE_DOOR = {
    "planner_words": Expected(code=1, words=("Every limit is one of", "nearest=")),
    "two_date_orders": Expected("land", words=("different days by different formats", "rows")),
    "excel_lock_file": Expected("land", code=1, words=("~$terms.xlsx", "what day it is")),
}
#: Cases that run to orders: a minute each on a quiet machine, so `make drill` runs them.
TO_ORDERS = {
    "stock_by_bin": Expected(lines=0, words=("they are added up",)),
    "cancelled_orders": Expected(lines=0),
    "unit_words": Expected(lines=1, words=("Every unit in sales", "Case of 12")),
    "ids_with_slash": Expected(lines=2),
    "alias_chain": Expected(lines=1),
    "open_po_of_last_year": Expected(lines=1, words=("overdue order",)),
    "stock_elsewhere": Expected(words=("stock elsewhere",)),
    "receipt_line_zeros": Expected(words=("new orders",)),
    "identity_row_counts_once": Expected(code=2, words=("No row stands twice", "too little")),
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
    return found


def _orders(home: Path) -> list[dict[str, Any]]:
    command = [str(Path(sys.executable).parent / "stockhouse"), "orders", "--home", str(home)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    return list(told["orders"] if isinstance(told, dict) else told)
