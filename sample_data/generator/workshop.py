"""What is finished from the company's own materials from now on: the materials, what one unit takes
of them, and what may stand in where an item lacks. Written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from generator.calendar import LAST, LISTED, at, day
from generator.write import write_csv


@dataclass(frozen=True)
class Material:
    """A material as its supplier sells it, and how many pieces of it lie in DC1; money in GBP."""

    item_id: str
    description: str
    supplier_id: str
    unit_cost: float
    weight_kg: float
    lead_time_days: int
    order_multiple: int
    on_hand: int


MATERIALS = (
    Material("M-ROD", "WILLOW ROD 40CM", "S06", 0.05, 0.02, 14, 500, 1200),
    Material("M-BOW", "RED SATIN BOW", "S02", 0.03, 0.004, 7, 250, 100),
    Material("M-RIBBON", "RIBBON, PER M", "S02", 0.02, 0.003, 7, 100, 40),
)
#: item → what one of it takes, with the share that is lost in making
RECIPES = {"22694": {"M-ROD": (5, None), "M-BOW": (1, None), "M-RIBBON": (0.4, 0.05)}}
#: item → what may stand in for it: cake cases of another print, another doll
SUBSTITUTES = {"21212": "21976", "22750": "22273", "22751": "22273"}


def write(out: Path) -> None:
    """materials.csv, recipes.csv and substitutes.csv: the first wicker star is finished on the day
    after the last."""
    write_csv(
        out / "materials.csv",
        (
            {
                "material": one.item_id,
                "description": one.description,
                "supplier": one.supplier_id,
                "unit_cost": f"{one.unit_cost:.2f}",
                "weight_kg": f"{one.weight_kg:.3f}",
                "lead_time_days": one.lead_time_days,
                "order_multiple": one.order_multiple,
                "on_hand": one.on_hand,
                "counted_at": at(LAST, "21:00"),
            }
            for one in MATERIALS
        ),
    )
    write_csv(
        out / "recipes.csv",
        (
            {
                "item": item,
                "takes": part,
                "quantity": quantity,
                "lost": lost,
                "from_day": day(LAST + 1),
                "announced_on": day(LAST - 11),
            }
            for item, parts in RECIPES.items()
            for part, (quantity, lost) in parts.items()
        ),
    )
    write_csv(
        out / "substitutes.csv",
        (
            {"item": item, "instead": other, "said_on": LISTED.isoformat()}
            for item, other in SUBSTITUTES.items()
        ),
    )
