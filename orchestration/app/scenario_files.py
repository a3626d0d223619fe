"""Scenario files: what a person writes, read whole or refused with file, line, field and cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from models.twin.scenarios import KINDS, Effect, Scenario
from orchestration.facts.timeline import Timeline
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.grammar_errors import as_contract_error
from orchestration.landing.contract.world import Strict
from orchestration.landing.contract.yaml_document import parse_yaml, read_bytes, read_yaml

#: The words that say how large an event is; a kind has one of them or none.
SIZES = ("factor", "days", "share", "at_most")
#: The words that only some kinds take.
WORDS = ("policy", "resource", "supplier")
_NAME = r"^[A-Za-z0-9_-]+$"


class Timed(Strict):
    """When: from starts_on to ends_on (both included), or so many hours from starts_at, local
    time.
    """

    starts_on: date | None = None
    ends_on: date | None = None
    starts_at: datetime | None = None
    hours: float | None = Field(default=None, gt=0, le=24 * 365)

    @property
    def is_timed(self) -> bool:
        """Whether anything is said of when."""
        return any((self.starts_on, self.ends_on, self.starts_at, self.hours))

    @model_validator(mode="after")
    def _has_one_time(self) -> Timed:
        by_day = (self.starts_on, self.ends_on)
        by_hour = (self.starts_at, self.hours)
        is_whole = (all(by_day) and not any(by_hour)) or (all(by_hour) and not any(by_day))
        if self.is_timed and not is_whole:
            raise ValueError(
                "say when: starts_on and ends_on (days), or starts_at (a time) and hours"
            )
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise ValueError(f"it ends on {self.ends_on}, before it starts on {self.starts_on}")
        if self.starts_at and self.starts_at.tzinfo:
            raise ValueError("starts_at is local time, without a zone")
        return self

    def window(self) -> tuple[datetime, datetime]:
        """When it begins and ends, local time."""
        if self.starts_at is not None and self.hours is not None:
            return self.starts_at, self.starts_at + timedelta(hours=self.hours)
        midnight = datetime.min.time()
        first, last = self.starts_on or date.max, self.ends_on or date.max
        return datetime.combine(first, midnight), datetime.combine(last, midnight) + timedelta(
            days=1
        )


class EffectFile(Timed):
    """One event as it is written: kind, scope and size; its own time only where it differs from the
    scenario's; probability, and the event that it depends on.
    """

    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    scope: dict[str, str] = Field(default_factory=dict)
    factor: float | None = None
    days: float | None = None
    share: float | None = None
    at_most: float | None = None
    policy: str | None = None
    resource: Literal["value", "units", "weight_kg", "volume_m3"] | None = None
    supplier: str | None = None
    name: str = Field(default="", pattern=r"^[A-Za-z0-9_-]*$")
    probability: float = Field(default=1.0, gt=0, le=1)
    depends_on: str = ""

    @model_validator(mode="after")
    def _fits(self) -> EffectFile:
        kind = KINDS[self.kind]
        given = {word for word in SIZES if getattr(self, word) is not None}
        if given != ({kind.word} if kind.word else set()):
            asked = f"its size as `{kind.word}`" if kind.word else "no size"
            raise ValueError(f"{self.kind} has {asked}, not {sorted(given) or 'nothing'}")
        if kind.word and not kind.least <= self.size <= kind.most:
            raise ValueError(
                f"{kind.word} is {self.size:g}; it lies between {kind.least:g} and {kind.most:g}"
            )
        unknown = sorted(set(self.scope) - set(kind.scope))
        missing = sorted(set(kind.must) - set(self.scope))
        if unknown or missing:
            raise ValueError(
                f"the scope of {self.kind} may name {', '.join(kind.scope) or 'nothing'}"
                + (f"; it has to name {', '.join(kind.must)}" if kind.must else "")
            )
        said = {word for word in WORDS if getattr(self, word) is not None}
        if said != set(kind.words):
            wanted = ", ".join(f"`{word}`" for word in kind.words)
            raise ValueError(
                f"{self.kind} says {wanted}" if wanted else f"{self.kind} has no {min(said)}"
            )
        return self

    @property
    def size(self) -> float:
        """How strong, 1 for a block."""
        sizes = (getattr(self, word) for word in SIZES)
        return next((float(size) for size in sizes if size is not None), 1.0)


class ScenarioFile(Timed):
    """A scenario as a person writes it."""

    scenario: str = Field(pattern=_NAME)
    title: str
    probability: float = Field(default=1.0, gt=0, le=1)
    effects: list[EffectFile] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_time(self) -> ScenarioFile:
        for effect in self.effects:
            if not (self.is_timed or effect.is_timed or KINDS[effect.kind].scope == ()):
                raise ValueError(
                    "say when: starts_on and ends_on (days), or starts_at (a time) and hours"
                )
        return self


Span = tuple[float, float]


class DrawnFile(Strict):
    """One kind of event that stress scenarios are drawn from: where (one of the scopes), how long
    and how strong (from, to), and how often it is in a scenario.
    """

    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]
    scopes: list[dict[str, str]] = Field(default=[{}], min_length=1)
    hours: Span
    factor: Span | None = None
    days: Span | None = None
    share: Span | None = None
    at_most: Span | None = None
    probability: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _fits(self) -> DrawnFile:
        spans = {word: getattr(self, word) for word in ("hours", *SIZES)}
        for word, span in spans.items():
            if span is not None and not span[0] <= span[1]:
                raise ValueError(f"{word} goes from {span[0]:g} to {span[1]:g}: turn them round")
        if self.hours[0] <= 0:
            raise ValueError("hours begin above 0")
        if KINDS[self.kind].words:
            raise ValueError(f"{self.kind} is not drawn: write it as a scenario of its own")
        for scope in self.scopes:
            for end in (0, 1):
                sizes = {word: span[end] for word, span in spans.items() if span is not None}
                del sizes["hours"]
                EffectFile(kind=self.kind, scope=scope, **sizes)
        return self


class StressFile(Strict):
    """A set of scenarios drawn from a seed: how many, how many days from now the first event may
    begin, and what may happen.
    """

    stress: str = Field(pattern=_NAME)
    title: str
    seed: int = 0
    scenarios: int = Field(gt=0, le=500)
    begins_within_days: float = Field(gt=0)
    effects: list[DrawnFile] = Field(min_length=1)

    def drawn(self, where: str) -> list[Scenario]:
        """The scenarios, the same for the same seed; each has at least one event."""
        found = []
        for number in range(self.scenarios):
            random = np.random.default_rng([self.seed, number])
            luck = random.random(len(self.effects))
            chosen = [k for k, one in enumerate(self.effects) if luck[k] < one.probability]
            effects = [self._event(random, k, where) for k in chosen or [int(luck.argmin())]]
            words = ", ".join(f"{one.kind} {' '.join(one.scope.values())}" for one in effects)
            name = f"{self.stress}-{number + 1:03d}"
            found.append(Scenario(name, words, tuple(effects)))
        return found

    def _event(self, random: np.random.Generator, k: int, where: str) -> Effect:
        one = self.effects[k]
        starts = float(random.uniform(0, self.begins_within_days * 24))
        scope = one.scopes[int(random.integers(len(one.scopes)))]
        hours, size = float(random.uniform(*one.hours)), 1.0
        for word in SIZES:
            if (span := getattr(one, word)) is not None:
                size = float(random.uniform(*span))
        return Effect(one.kind, scope, starts, starts + hours, size, where=f"{where} effects.{k}")


@dataclass(frozen=True)
class Question:
    """Scenarios out of one file, its title, and its text as it was asked."""

    title: str
    text: str
    scenarios: tuple[Scenario, ...]
    is_stress: bool = False


def read_question(path: Path, timeline: Timeline) -> Question:
    """Read a file of a scenario or a stress set; hours count from the first period that is planned.

    Raises ContractError with file, line and field for what cannot be meant.
    """
    raw = read_bytes(path, "a scenario is a YAML file")
    return parse(path.name, raw, timeline)


def is_stress(path: Path) -> bool:
    """Whether a file is a stress set."""
    return "stress" in read_yaml(path, "stress: name", "a stress set is a YAML file")[0]


def parse(name: str, raw: bytes, timeline: Timeline) -> Question:
    """As `read_question`, for what was read, or kept, of a file of this name."""
    data, lines = parse_yaml(raw, name, "scenario: name")
    return _question(name, raw.decode("utf-8-sig"), data, lines, timeline)


def _question(
    name: str,
    text: str,
    data: dict[str, Any],
    lines: dict[tuple[str | int, ...], int],
    timeline: Timeline,
) -> Question:
    grammar = StressFile if "stress" in data else ScenarioFile
    try:
        if "stress" in data:
            drawn = StressFile.model_validate(data)
            return Question(drawn.title, text, tuple(drawn.drawn(name)), is_stress=True)
        said = ScenarioFile.model_validate(data)
    except ValidationError as error:
        raise as_contract_error(error, grammar, name, lines) from None
    origin = datetime.combine(timeline.origin, datetime.min.time())
    effects = []
    for k, one in enumerate(said.effects):
        timed = one if one.is_timed else said
        starts, ends = 0.0, np.inf
        if timed.is_timed:
            starts, ends = ((at - origin).total_seconds() / 3600 for at in timed.window())
        words = {word: getattr(one, word) for word in WORDS if getattr(one, word) is not None}
        where = f"{name}:{lines.get(('effects', k), 0)} effects.{k}"
        effects.append(
            Effect(
                one.kind,
                one.scope,
                starts,
                ends,
                one.size,
                words,
                one.probability,
                one.name,
                one.depends_on,
                where,
            )
        )
    try:
        scenario = Scenario(said.scenario, said.title, tuple(effects), said.probability)
    except ValueError as error:
        line = lines.get(("effects",), 0)
        raise ContractError(str(error), where=f"{name}:{line} effects") from None
    return Question(said.title, text, (scenario,))


def read_scenario(path: Path, timeline: Timeline) -> Scenario:
    """Read a file with one scenario."""
    return read_question(path, timeline).scenarios[0]


def refuse_twins(scenarios: Sequence[Scenario]) -> None:
    """Refuse two scenarios of one name: their answers could not be told apart."""
    names = [one.name for one in scenarios]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two of the scenarios are called {twice[0]!r} in `scenario`: name each differently"
        )
