"""After a deliberate change of what the sample orders: write the golden orders, and the two lines
the README shows, from the home of a finished first run.

python tests/line/write_golden_orders.py HOME
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import wrap
from typing import Any

import duckdb

from models.domain import need_id

ROOT = Path(__file__).resolve().parents[2]
KEPT = ("kind", "item_id", "location_id", "from_id", "due_on")
QUANTITIES = ("quantity", "eoq_quantity", "min_max_quantity")
NAME, WHY = 30, 18


def main(home: Path) -> None:
    """Rewrite both files; nothing else of the README is touched."""
    with duckdb.connect(str(home / "derived/warehouse.duckdb"), read_only=True) as con:
        lines = con.execute(
            "select lines.*, name from decisions.order_lines as lines left join marts.dim_items as "
            "items on lines.item_id = items.item_id and items.is_current"
        ).pl()
    golden = lines.select(*KEPT, *QUANTITIES).sort("kind", "item_id", "location_id")
    golden.write_csv(ROOT / "tests/line/golden_orders.csv")
    by_value = lines.sort("value", descending=True).head(12)
    first = [by_value.filter(kind=kind).row(0, named=True) for kind in ("transfer", "purchase")]
    said = [f"{'':18}Proposed orders: {len(lines)} lines, the 12 largest by value (two shown here)"]
    said.append(
        _row("id", "item", "to", "from", *("quantity", "EOQ + ROP", "min-max"), "value GBP")
    )
    said[-1] += "│ due        │ why"
    for line in first:
        said += _shown(line)
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    block = re.compile(r"```\n +Proposed orders: .*?```", re.DOTALL)
    page.write_text(block.sub("```\n" + "\n".join(said) + "\n```", text), encoding="utf-8")


def _row(name: str, item: str, to: str, source: str, *numbers: str) -> str:
    widths = (10, 11, 9, 11)
    right = "│".join(f"{number:>{width}} " for number, width in zip(numbers, widths, strict=True))
    return f" {name:<10} │ {item:<{NAME}} │ {to:<4} │ {source:<4} │{right}"


def _shown(line: dict[str, Any]) -> list[str]:
    names = wrap(f"{line['item_id']} {line['name']}", NAME)
    why = wrap(str(line["reason"]), WHY)
    numbers = [f"{line[name]:,.0f}" for name in QUANTITIES] + [f"{line['value']:,.2f}"]
    head = _row(
        need_id(str(line["intent_key"])),
        names[0],
        str(line["location_id"]),
        str(line["from_id"]),
        *numbers,
    )
    told = [f"{head}│ {line['due_on']} │ {why[0]}"]
    if len(names) > 1 or len(why) > 1:
        rest = _row("", " ".join(names[1:]), "", "", "", "", "", "")
        told.append(f"{rest}│ {'':10} │ {why[1] if len(why) > 1 else ''} …")
    return told


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
