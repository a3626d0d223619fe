"""How suppliers' systems code their answer to an order line."""

from __future__ import annotations

#: What an answer says of a line (UN/EDIFACT 1229, which UBL uses too): taken as it is, taken with
#: changes, and not taken, by our code for it.
TAKEN, AMENDED, REFUSED = ("", "5"), ("3", "6"), {"2": "ID", "7": "IR", "10": "IR"}
