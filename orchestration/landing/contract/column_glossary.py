"""What a company may map a cell to: every canonical column with its meaning, its unit and an
example, for editors and for the reference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from orchestration.landing.contract.canonical import ADDED_UP, CANONICAL, SEVERAL

#: Where every business word is defined, once.
GLOSSARY = Path(__file__).resolve().parents[3] / "dbt_project" / "models" / "_docs.md"
UNITS, MONEY, MOMENT, NAME, DAYS = "units", "money", "UTC, or local with a zone", "id", "days"
#: Every column's unit and an example, by its name: a name means one thing in all tables.
COLUMNS: dict[str, tuple[str, str]] = {
    "item_id": (NAME, "22086"),
    "location_id": (NAME, "DC1"),
    "quantity": (UNITS, "48"),
    "event_at": (MOMENT, "2011-12-05 09:30"),
    "period_id": (NAME, "wm_11325"),
    "order_id": (NAME, "PO-1042"),
    "line_id": (NAME, "10"),
    "customer_id": (NAME, "17850"),
    "unit": ("word", "carton"),
    "unit_price": (MONEY, "2.95"),
    "revenue": (MONEY, "141.60"),
    "reason": ("text", "write-off"),
    "status": ("word", "open, closed or cancelled"),
    "promised_at": (MOMENT, "2011-12-19"),
    "shipped_at": (MOMENT, "2011-12-12 17:00"),
    "delivered_at": (MOMENT, "2011-12-17 08:15"),
    "supplier_id": (NAME, "S02"),
    "name": ("text", "PAPER CHAIN KIT"),
    "address": ("text", "12 Quay Road, Felixstowe IP11 3SY"),
    "levels": ("list of texts", "[decoration, christmas]"),
    "pack_size": (UNITS, "12"),
    "weight_kg": ("kg", "0.35"),
    "volume_m3": ("m³", "0.0021"),
    "unit_cost": (MONEY, "1.67"),
    "shelf_life_days": (DAYS, "180"),
    "holding_cost": ("money a unit and period", "0.0011"),
    "shortage_cost": ("money a unit", "1.18"),
    "part_id": (NAME, "22087"),
    "region_id": (NAME, "EU"),
    "country": ("ISO 3166 code, or a word of yours", "DE"),
    "kind": ("word", "store"),
    "supplied_from": (NAME, "DC1"),
    "capacity": (UNITS, "40000"),
    "starts_at": (MOMENT, "2012-01-02"),
    "ends_at": (MOMENT, "2012-01-09"),
    "payment_days": (DAYS, "30"),
    "lead_time_days": (DAYS, "14"),
    "moq": (UNITS, "144"),
    "order_multiple": (UNITS, "12"),
    "from_quantity": (UNITS, "500"),
    "on_hand": (UNITS, "212"),
    "is_in_stock": ("true or false", "true"),
    "due_at": (MOMENT, "2011-12-19"),
    "shipment_id": (NAME, "SH-0093"),
    "from_id": (NAME, "S02"),
    "to_id": (NAME, "DC1"),
    "mode": ("word", "sea"),
    "freight_cost": (MONEY, "86.40"),
    "bills_with": (NAME, "SH-0092"),
    "transfer_id": (NAME, "T-2207"),
    "received_at": (MOMENT, "2011-12-18 07:40"),
    "delta": ("units, signed", "-6"),
    "transit_days": (DAYS, "3"),
    "freight_per_kg": ("money a kg", "0.42"),
    "fuel_share": ("share, 0 to 1", "0.3"),
    "distance_km": ("kilometres", "620"),
    "co2_per_tonne_km": ("kg CO2e a tonne-km", "0.08"),
    "capacity_kg": ("kilograms a review", "24000"),
    "price": (MONEY, "2.95"),
    "list_price": (MONEY, "3.75"),
    "value": ("as the row's name says", "0.2"),
    "is_open": ("true or false", "false"),
    "day": ("local day", "2011-12-24"),
    "target_on": ("local day", "2011-12-24"),
    "scope": ("all, or an id", "S02"),
    "alias": (NAME, "5012345678900"),
    "id": (NAME, "22086"),
    "currency": ("ISO 4217 code", "USD"),
    "rate": ("world's currency for one", "0.92"),
    "tax_share": ("share of the net amount", "0.19"),
    "order_days": ("weekdays", "tue, fri"),
    "order_until": ("local time", "11:30"),
    "working_days": ("weekdays", "mon-fri"),
    "departure_days": ("weekdays", "mon, thu"),
    "receiving_days": ("weekdays", "mon-sat"),
    "hub_id": (NAME, "ROTTERDAM"),
    "after_days": (DAYS, "1.5"),
    "lead_time_working_days": ("working days of the supplier", "10"),
    "bin": (NAME, "A-03-2"),
    "lot": (NAME, "L2411"),
    "expires_at": (MOMENT, "2012-03-31"),
    "reserved": (UNITS, "24"),
    "successor_id": (NAME, "22139"),
    "substitute_id": (NAME, "22139"),
    "scrap_share": ("share of what goes in", "0.02"),
    "share": ("share, 0 to 1", "0.6"),
    "delivered_quantity": (UNITS, "12"),
}


#: Columns whose word means something else in one table: its meaning there, unit and example.
OTHERWISE = {
    ("stock", "status"): ("stock_status", "word", "blocked"),
    ("supplier_terms", "share"): ("supply_share", "share, 0 to 1", "0.6"),
}


@dataclass(frozen=True)
class Word:
    """One column of one canonical table, as a person who writes a contract needs it."""

    table: str
    column: str
    kind: str
    is_required: bool
    meaning: str
    unit: str
    example: str


@cache
def meanings() -> dict[str, str]:
    """Every word of the glossary with its meaning, as dbt's pages and the database have it."""
    text = GLOSSARY.read_text(encoding="utf-8")
    return dict(re.findall(r"\{% docs (\w+) %\}(.*?)\{% enddocs %\}", text, flags=re.DOTALL))


def words() -> list[Word]:
    """Every column of every canonical table, in the tables' own order."""
    found = []
    for name, table in CANONICAL.items():
        for column, kind in table.columns.items():
            usual = (column, *COLUMNS[column])
            meaning, unit, example = OTHERWISE.get((name, column), usual)
            is_required = column in table.required
            found.append(Word(name, column, kind, is_required, meanings()[meaning], unit, example))
    return found


def into_schema(schema: dict[str, Any]) -> None:
    """The rules of a source as JSON Schema: an editor offers tables and columns, and explains
    them."""
    value = {"type": ["string", "boolean", "integer", "number"]}
    usual = {
        "when": "The condition under which a row becomes one of these.",
        "known_after": "How long after the event this row is known.",
        "known_at": "An expression that says when this row was known.",
        "<<": "YAML's own: take over what another rule says.",
    }
    several = {"enum": list(SEVERAL)} | {
        "description": "What several rows of one thing at one time are: parts that are added up "
        "(sum), or versions of which the one known last counts (newest)."
    }
    tables: dict[str, Any] = {}
    for word in words():
        columns = tables.setdefault(
            word.table, {name: {"description": said} for name, said in usual.items()}
        )
        if word.table in ADDED_UP:
            columns["several"] = several
        told = f"{word.meaning} Unit: {word.unit}. Example: {word.example}."
        columns[word.column] = value | {"description": told}
    schema["items"] = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {
            name: {"type": "object", "additionalProperties": False, "properties": columns}
            for name, columns in tables.items()
        },
    }
