"""What people set and the robot keeps to: show it, propose another, and confirm it as a second
person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from models.procurement.actors import MATRIX
from models.procurement.approval import Limits, Maturity, judge
from models.procurement.documents import REJECTED, Document
from orchestration.app.procurement import Desk, evidence
from orchestration.app.snapshot_queries import lines_of
from orchestration.facts.decisions import latest
from orchestration.planning import override_journal


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


def propose_limits(
    desk: Desk, changes: Mapping[str, Any], by: str, seen: Mapping[str, int] | None = None
) -> LimitsSaid:
    """Propose some limits anew; they count once a second person confirms. Raises ValueError where
    nothing would change.

    seen: the version of the limits that the person looked at, see Store.writing.
    """
    now = desk.ledger.limits()
    then = now.changed(changes)
    if not now.differences(then):
        raise ValueError("these limits are in force already: nothing would change")
    desk.ledger.propose_limits(then, by, desk.now, seen)
    return show_limits(desk)


def confirm_limits(desk: Desk, by: str, seen: Mapping[str, int] | None = None) -> LimitsSaid:
    """Put what waits in force, as a second person."""
    return LimitsSaid(desk.ledger.confirm_limits(by, desk.now, seen))


@dataclass(frozen=True)
class Autonomy:
    """What the machine may do alone, and does: its mode, the lines that wait, those of them that it
    would approve on auto and their money, how many it has approved, and modes of single classes.

    Neither a run nor the desk's own sending approves anything: only the procure job does, when it
    is told to send, as the sensor orders_to_send tells it.
    """

    maturity: Maturity
    waiting: int
    alone: int
    money: float
    approved: int
    classes: Mapping[str, Maturity]


def autonomy(desk: Desk) -> Autonomy:
    """What the machine may do alone now, within limits, cap and budget."""
    alone, others = desk.ledger.within_limits(desk.now, evidence(desk))
    limits = desk.ledger.limits()
    return Autonomy(
        limits.maturity,
        len(alone) + others,
        len(alone),
        _money(alone),
        sum(line.approver == MATRIX for line in desk.ledger.lines()),
        limits.class_maturity,
    )


@dataclass(frozen=True)
class ClassRecord:
    """What speaks for a class's autonomy: its mode, the lines that wait and their money, how many
    the machine and people approved as they were proposed, and how many people wanted otherwise
    (rejected or overridden)."""

    item_class: str
    mode: Maturity
    waiting: int
    money: float
    by_machine: int
    agreed: int
    refused: int

    @property
    def agreement(self) -> float | None:
        """The share of people's decisions that left the proposal as it was; None before any."""
        decided = self.agreed + self.refused
        return self.agreed / decided if decided else None


def class_records(desk: Desk) -> list[ClassRecord]:
    """How people have met the proposals of every class of items, by class."""
    targets, limits = latest(desk.home.decisions, "targets"), desk.ledger.limits()
    known = {} if targets is None else _classes(targets)
    names = sorted({*known.values(), *limits.class_maturity})
    found = {name: ClassRecord(name, limits.mode(name), 0, 0.0, 0, 0, 0) for name in names}

    def count(pair: tuple[str, str], **more: Any) -> None:
        if (name := known.get(pair, "")) in found:
            one = found[name]
            found[name] = replace(one, **{key: getattr(one, key) + n for key, n in more.items()})

    for line in lines_of(desk):
        pair = line.item_id, line.location_id
        if line.stage == "requisition":
            count(pair, waiting=1, money=line.quantity * line.unit_cost)
        elif line.ended == REJECTED:
            count(pair, refused=1)
        elif line.approver:
            count(pair, **{"by_machine" if line.approver == MATRIX else "agreed": 1})
    for entry in override_journal.entries(desk.home):
        scope = entry.override.scope
        count((scope.get("item_id", ""), scope.get("location_id", "")), refused=1)
    return list(found.values())


def _classes(targets: pl.DataFrame) -> dict[tuple[str, str], str]:
    rows = targets.select("item_id", "location_id", "item_class").rows()
    return {(item, place): name for item, place, name in rows if name}


@dataclass(frozen=True)
class Effect:
    """What other limits would mean for the lines that wait: how many the machine would approve by
    itself now and then, and their money."""

    lines: int
    before: int
    after: int
    money_before: float
    money_after: float


def effect(desk: Desk, changes: Mapping[str, Any]) -> Effect:
    """What changing some limits would mean for the lines that wait; caps and budget aside, which
    are used up line by line."""
    now = desk.ledger.limits()
    then, known = now.changed(changes), evidence(desk)
    lines = [line for line in desk.ledger.lines() if line.document_id in known]

    def alone(limits: Limits) -> list[Document]:
        return [
            line
            for line in lines
            if judge(
                line.kind, line.quantity, line.unit_cost, known[line.document_id], limits
            ).is_automatic
        ]

    before, after = alone(now), alone(then)
    return Effect(len(lines), len(before), len(after), _money(before), _money(after))


def _money(lines: Sequence[Document]) -> float:
    return sum(line.quantity * line.unit_cost for line in lines)


def read_limits_file(path: Path) -> dict[str, Any]:
    """Limits out of a YAML file. Raises ValueError with the place of what cannot be read."""
    try:
        return read_limits(path.read_bytes(), str(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read as limits: {error}") from error


def read_limits(content: bytes, path: str = "the file") -> dict[str, Any]:
    """Limits out of YAML text. Raises ValueError with the place of what cannot be read."""
    try:
        values = yaml.safe_load(content.decode())
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} cannot be read as limits: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(values, dict):
        raise ValueError(
            f"{path}: limits are written as `name: value` lines, such as `auto_amount: 2000`"
        )
    return {str(name): value for name, value in values.items()}


def parse_limits(pairs: list[str]) -> dict[str, Any]:
    """Limits out of NAME=VALUE words, the value as YAML reads it. Raises ValueError for another
    word."""
    limits = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise ValueError(f"a limit is NAME=VALUE such as auto_amount=2000, not '{pair}'")
        try:
            limits[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(
                f"{name}: {value!r} cannot be read: {' '.join(str(error).split())}"
            ) from error
    return limits
