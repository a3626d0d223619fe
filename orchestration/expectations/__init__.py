"""Gates: what must hold at both edges of the house. A broken error stops the line; a broken warning
is shown and never blocks."""

from orchestration.expectations.check import (
    CheckOutcome,
    GateClosed,
    GateError,
    expectation_names,
    history,
    require_open,
    validate,
)
from orchestration.expectations.completeness import completeness, incomplete
from orchestration.expectations.custom_checks import with_own
from orchestration.expectations.doubtful_items import doubts, held_back
from orchestration.expectations.laws import Gate, Law
from orchestration.expectations.orders_out import ORDERS_OUT
from orchestration.expectations.raw_in import RAW_IN

#: Every gate by name, with the checks that extensions add to it.
GATES: dict[str, Gate] = with_own(RAW_IN, ORDERS_OUT)

__all__ = [
    "GATES",
    "CheckOutcome",
    "Gate",
    "GateClosed",
    "GateError",
    "Law",
    "completeness",
    "doubts",
    "expectation_names",
    "held_back",
    "history",
    "incomplete",
    "require_open",
    "validate",
]
