"""Units of measure as suppliers' systems name them: X12 element 355 in X12, UN/ECE Recommendation
20 in EDIFACT and UBL, where UBL has the packages of Recommendation 21 with an X before them."""

from __future__ import annotations

import re
from typing import Literal

Family = Literal["x12", "edifact", "ubl"]

#: The name of what one stock unit is ordered as, where the supplier has no unit of his own.
PIECE = "piece"
#: "Mutually defined": the unit that both sides know from their terms, and no list has.
MUTUAL = "ZZ"

FAMILIES: tuple[Family, ...] = ("x12", "edifact", "ubl")
#: The code that is written for each unit, by format.
CODES: dict[str, dict[Family, str]] = {
    name: dict(zip(FAMILIES, codes.split(), strict=True))
    for name, codes in {
        PIECE: "EA PCE C62",
        "case": "CA CS XCS",
        "carton": "CT CT XCT",
        "box": "BX BX XBX",
        "pack": "PK PK XPK",
        "pallet": "PL PF XPX",
        "bag": "BG BG XBG",
        "roll": "RO RO XRO",
        "pair": "PR PR PR",
        "dozen": "DZ DZN DZN",
        "kg": "KG KGM KGM",
        "g": "GR GRM GRM",
        "lb": "LB LBR LBR",
        "l": "LT LTR LTR",
        "m": "MR MTR MTR",
    }.items()
}
#: What one piece is called beside that: each, one, piece, and what older lists say for it.
EACH = ("EA", "C62", "H87", "PCE", "NAR")
#: What companies call a unit in their own files, one and many; as in dbt_project.yml.
WORDS = {
    word: name
    for name, words in {
        PIECE: "piece each ea pc pcs pce st stk stck stück stueck un u unit c62 h87 nar",
        "case": "case cs ca kiste kisten",
        "carton": "carton ctn karton",
        "box": "box bx schachtel schachteln",
        "pack": "pack pk pks package packung packungen",
        "pallet": "pallet pal plt palette paletten pf d97",
        "bag": "bag sack",
        "roll": "roll rolle rollen",
        "pair": "pair paar",
        "dozen": "dozen dz dzn doz dutzend",
        "kg": "kg kgs kgm kilo kilogram kilogramm",
        "g": "g gr gram gramm",
        "lb": "lb lbs pound",
        "l": "l lt ltr litre liter",
        "ml": "ml millilitre milliliter",
        "m": "m mtr metre meter",
        "cm": "cm centimetre centimeter",
        "m2": "m2 m² sqm",
        "m3": "m3 m³ cbm",
        "ft": "ft foot feet",
    }.items()
    for word in words.split()
}
#: How a word ends that says many, one of it in the group: boxes, pallets. A word of up to three
#: letters is its own, as pcs.
MANY = (r"^(.+(x|ch|sh|ss))es$", r"^(..+[^s])s$")
#: Units of which one counts as one of the item's own.
BASE = (PIECE, "kg", "g", "lb", "l", "ml", "m", "cm", "m2", "m3", "ft")
#: Units that hold the pack size of the item master where item_units says nothing.
PACKS = ("pack", "case", "carton", "box")
#: By format, what each code is read as: EDIFACT and UBL share their lists, old and new.
READ: dict[Family, dict[str, str]] = {
    "x12": {"EA": PIECE} | {codes["x12"]: name for name, codes in CODES.items()},
    "edifact": dict.fromkeys(EACH, PIECE)
    | {codes[family]: name for name, codes in CODES.items() for family in FAMILIES[1:]},
}
READ["ubl"] = READ["edifact"]


def unit_named(word: str) -> str:
    """The one name of a unit that a company or a supplier writes in its own words: without dots,
    and one of it where the word says many."""
    one = word.replace(".", "").strip().lower()
    for ending in MANY:
        one = re.sub(ending, r"\1", one)
    return WORDS.get(one, one)


def code_of(unit: str, family: Family) -> str:
    """The code that a format has for a unit, empty being pieces; "mutually defined" where it has
    none."""
    return CODES.get(unit_named(unit) if unit else PIECE, {}).get(family, MUTUAL)


def unit_read(code: str, family: Family) -> str:
    """The unit that a code means; the code itself where no list has it, empty where none is said.

    In X12 only its own code is a piece."""
    return READ[family].get(code, code)


def is_same(said: str, name: str) -> bool:
    """Whether a unit as it was read is the one that was ordered; "mutually defined" is the unit
    that no list has."""
    return said in ("", name) or (said == MUTUAL and name not in CODES)
