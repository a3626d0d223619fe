"""Who may say yes: the approval matrix that turns an order line's size, oddity and provenance into
the level that must approve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, get_args

Maturity = Literal["shadow", "suggest", "auto"]

#: Levels of authority: the matrix itself, a buyer, a purchasing manager, the management.
AUTOMATIC, BUYER, MANAGER, DIRECTOR = 0, 1, 2, 3


#: What a plan keeps to and people set at the desk, as the planner's workbook calls it.
PLAN_LIMITS = (
    "budget",
    "capacity",
    "truck_kg",
    "service_level",
    "supplier_minimum",
    "supplier_minimum_kg",
    "supplier_minimum_units",
)


@dataclass(frozen=True)
class Limits:
    """What people set and the robot keeps to; money in the world's currency.

    maturity: what the policy may do alone: shadow records only, suggest asks for every line, auto
    approves within the matrix. class_maturity: the same for single classes of items (such as CZ),
    before the general one. plan: what plans keep to from the next run on, by name and scope, such
    as {"budget all": 12000, "capacity DC1": 9000, "service_level Toys": 0.95}: newer words than the
    company's books have.
    auto_amount, buyer_amount, manager_amount: the largest line each level may approve.
    usual_factor: how many times its usual quantity a line may be before a buyer must look.
    least_complete: data completeness (0..1) below which a buyer must look. worst_risk: supplier
    risk (0..1) above which a manager must look. asking_categories: categories that always go to a
    buyer. daily_cap: spend approved a day, by anyone. budget: open commitments at any time; None is
    no limit. approvers: level by name; empty means no roles are kept and any named person may
    approve.
    """

    maturity: Maturity = "auto"
    auto_amount: float = 5_000.0
    buyer_amount: float = 25_000.0
    manager_amount: float = 100_000.0
    usual_factor: float = 3.0
    least_complete: float = 0.6
    worst_risk: float = 0.5
    asking_categories: tuple[str, ...] = ()
    daily_cap: float | None = None
    budget: float | None = None
    approvers: Mapping[str, int] = field(default_factory=dict)
    class_maturity: Mapping[str, Maturity] = field(default_factory=dict)
    plan: Mapping[str, float] = field(default_factory=dict)

    def mode(self, item_class: str | None) -> Maturity:
        """What the policy may do alone with an item of a class; None is an unknown one."""
        return self.class_maturity.get(item_class or "", self.maturity)

    def to_payload(self) -> dict[str, Any]:
        """These limits as plain JSON values."""
        return asdict(self) | {
            "asking_categories": list(self.asking_categories),
            "approvers": dict(self.approvers),
            "class_maturity": dict(self.class_maturity),
            "plan": dict(self.plan),
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Limits:
        """Limits out of plain JSON values. Raises TypeError for a name this matrix does not
        know."""
        return cls(**{**payload, "asking_categories": tuple(payload.get("asking_categories", ()))})

    def changed(self, changes: Mapping[str, Any]) -> Limits:
        """These limits with some of them set anew; of the plan's, those that are named. Raises
        ValueError that says which word or value is not understood."""
        unknown = sorted(changes.keys() - self.to_payload().keys())
        if unknown:
            near = get_close_matches(unknown[0], self.to_payload(), n=1)
            hint = (
                f"; did you mean {near[0]}?"
                if near
                else f"; there are {', '.join(self.to_payload())}"
            )
            raise ValueError(f"there is no limit {unknown[0]!r}{hint}")
        for name, value in changes.items():
            _check(name, value)
        then = self.to_payload() | dict(changes)
        return Limits.from_payload(then | {"plan": {**self.plan, **changes.get("plan", {})}})

    def differences(self, other: Limits) -> dict[str, tuple[Any, Any]]:
        """What another matrix says otherwise: {limit: (here, there)}."""
        here, there = self.to_payload(), other.to_payload()
        return {name: (here[name], there[name]) for name in here if here[name] != there[name]}


def _check(name: str, value: Any) -> None:
    """Refuse a value that is no such limit."""
    if name == "plan":
        _check_plan(value)
    elif name == "class_maturity":
        _check_modes(value)
    elif name == "maturity":
        if value not in get_args(Maturity):
            raise ValueError(f"maturity is one of {', '.join(get_args(Maturity))}, not {value!r}")
    elif name == "asking_categories":
        if not (isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)):
            raise ValueError(f"asking_categories is a list of categories, not {value!r}")
    elif name == "approvers":
        levels = (BUYER, MANAGER, DIRECTOR)
        if not isinstance(value, Mapping) or any(level not in levels for level in value.values()):
            raise ValueError(
                f"approvers gives each name a level of {', '.join(map(str, levels))}, not {value!r}"
            )
    elif value is None and name in ("daily_cap", "budget"):
        return
    elif (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value < float("inf")
    ):
        raise ValueError(f"{name} is a number, 0 or more, not {value!r}")
    elif name in ("least_complete", "worst_risk") and value > 1:
        raise ValueError(f"{name} is a share between 0 and 1, not {value!r}")


def _check_modes(value: Any) -> None:
    """Refuse what gives no class a mode."""
    modes = get_args(Maturity)
    if not isinstance(value, Mapping) or any(mode not in modes for mode in value.values()):
        raise ValueError(
            f"class_maturity gives each class one of {', '.join(modes)}, not {value!r}"
        )


def _check_plan(value: Any) -> None:
    """Refuse what is no limit of a plan: an unknown name, no scope, or no number that it can be."""
    if not isinstance(value, Mapping):
        raise ValueError(f"plan gives limits such as 'budget all' a number each, not {value!r}")
    for said, size in value.items():
        name, _, scope = str(said).partition(" ")
        if name not in PLAN_LIMITS or not scope.strip():
            raise ValueError(
                f"{said!r} is no limit of a plan and what it holds for, such as 'budget all' or "
                f"'capacity DC1'; there are {', '.join(PLAN_LIMITS)}"
            )
        is_number = isinstance(size, int | float) and not isinstance(size, bool)
        if not (is_number and 0 <= size < float("inf")):
            raise ValueError(f"{said} is a number, 0 or more, not {size!r}")
        if name == "service_level" and not 0 < size < 1:
            raise ValueError(f"{said} is a share between 0 and 1, both excluded, not {size!r}")


@dataclass(frozen=True)
class Evidence:
    """What is known about a line beside its terms; None where nobody knows, which never counts in
    its favour nor against it.

    usual_quantity: median quantity of earlier orders of the need. completeness: share of what a
    decision needs that is known.
    supplier_risk: probability that the supplier is late or short. category: the item's category.
    item_class: its class by value and steadiness, such as AX.
    override: one that was recorded after the line was planned, in words; the next plan orders what
    it says, so nobody approves the line as it is.
    """

    usual_quantity: float | None = None
    completeness: float | None = None
    supplier_risk: float | None = None
    category: str | None = None
    item_class: str | None = None
    override: str | None = None


@dataclass(frozen=True)
class Verdict:
    """The level that must approve, and every rule that raised it, in words."""

    level: int
    reasons: tuple[str, ...]

    @property
    def is_automatic(self) -> bool:
        """Whether no person has to approve the line."""
        return self.level == AUTOMATIC


def judge(
    kind: str, quantity: float, unit_cost: float, evidence: Evidence, limits: Limits
) -> Verdict:
    """The approval a line needs: the highest level any rule of the matrix asks for. A transfer
    spends nothing, so amounts do not count."""
    value = quantity * unit_cost if kind == "purchase" else 0.0
    mode, of_class = limits.mode(evidence.item_class), evidence.item_class in limits.class_maturity
    whose = f"maturity for class {evidence.item_class}" if of_class else "maturity"
    rules: list[tuple[bool, int, str]] = [
        (mode != "auto", BUYER, f"the policy's {whose} is {mode}"),
        (
            value > limits.auto_amount,
            BUYER,
            f"value {value:,.2f} exceeds {limits.auto_amount:,.2f}",
        ),
        (
            value > limits.buyer_amount,
            MANAGER,
            f"value {value:,.2f} exceeds a buyer's {limits.buyer_amount:,.2f}",
        ),
        (
            value > limits.manager_amount,
            DIRECTOR,
            f"value {value:,.2f} exceeds a manager's {limits.manager_amount:,.2f}",
        ),
        (
            evidence.category in limits.asking_categories,
            BUYER,
            f"category {evidence.category} is always asked for",
        ),
        (evidence.override is not None, BUYER, f"{evidence.override} waits for the next plan"),
    ]
    if evidence.usual_quantity:
        factor = quantity / evidence.usual_quantity
        rules.append(
            (
                factor > limits.usual_factor,
                BUYER,
                f"quantity is {factor:.1f} times the usual {evidence.usual_quantity:g}",
            )
        )
    if evidence.completeness is not None:
        known = evidence.completeness
        rules.append(
            (
                known < limits.least_complete,
                BUYER,
                f"only {known:.0%} of what a decision needs is known",
            )
        )
    if evidence.supplier_risk is not None:
        risk = evidence.supplier_risk
        rules.append(
            (risk > limits.worst_risk, MANAGER, f"the supplier fails with probability {risk:.0%}")
        )
    raised = [(level, why) for is_raised, level, why in rules if is_raised]
    return Verdict(
        max((level for level, _ in raised), default=AUTOMATIC), tuple(why for _, why in raised)
    )
