"""What people set and the robot keeps to: show it, propose another, and confirm it as a second
person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.procurement.approval import Limits
from orchestration.app.procurement import Desk


@dataclass(frozen=True)
class LimitsSaid:
    """The limits in force, and those that wait for a second person: who proposed them, and what
    they would change."""

    in_force: Limits
    proposed_by: str = ""
    changes: Mapping[str, tuple[Any, Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """As data, in the words of the limits file."""
        changes = {
            name: {"now": now, "then": then} for name, (now, then) in (self.changes or {}).items()
        }
        return {
            "limits": self.in_force.to_payload(),
            "proposed_by": self.proposed_by,
            "changes": changes,
        }


def show_limits(desk: Desk) -> LimitsSaid:
    """The limits in force and what waits."""
    now, waiting = desk.ledger.limits(), desk.ledger.proposed_limits()
    if waiting is None:
        return LimitsSaid(now)
    limits, by = waiting
    return LimitsSaid(now, by, now.differences(limits))


def propose_limits(desk: Desk, wanted: Mapping[str, Any], by: str) -> LimitsSaid:
    """Propose some limits anew; they count once a second person confirms. Raises ValueError where
    nothing would change."""
    now = desk.ledger.limits()
    then = now.changed(wanted)
    if not now.differences(then):
        raise ValueError("these limits are in force already: nothing would change")
    desk.ledger.propose_limits(then, by, desk.now)
    return show_limits(desk)


def confirm_limits(desk: Desk, by: str) -> LimitsSaid:
    """Put what waits in force, as a second person."""
    return LimitsSaid(desk.ledger.confirm_limits(by, desk.now))


def read_limits_file(path: Path) -> dict[str, Any]:
    """Limits out of a YAML file. Raises ValueError with the place of what cannot be read."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} cannot be read as limits: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(said, dict):
        raise ValueError(
            f"{path}: limits are written as `name: value` lines, such as `auto_amount: 2000`"
        )
    return {str(name): value for name, value in said.items()}


def parse_limits(pairs: list[str]) -> dict[str, Any]:
    """Limits out of NAME=VALUE words, the value as YAML reads it. Raises ValueError for another
    word."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ValueError(f"a limit is NAME=VALUE such as auto_amount=2000, not '{pair}'")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(
                f"{name}: {value!r} cannot be read: {' '.join(str(error).split())}"
            ) from error
    return found
