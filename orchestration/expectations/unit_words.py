"""Units as the gates read them: by the words that models/procurement/unit_codes.py knows."""

from __future__ import annotations

from models.procurement.unit_codes import MANY, WORDS
from orchestration.home.sql import literal


def unit_word(column: str) -> str:
    """SQL for the one name of the unit a column says in a company's own words: what
    `models.procurement.unit_codes.unit_named` says of it."""
    one = f"lower(trim(replace({column}, '.', '')))"
    for ending in MANY:
        one = rf"regexp_replace({one}, {literal(ending)}, '\1')"
    words, names = (", ".join(map(literal, side)) for side in (WORDS.keys(), WORDS.values()))
    return f"coalesce(map([{words}], [{names}])[{one}], {one})"
