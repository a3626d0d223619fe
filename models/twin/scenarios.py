"""What may happen, as data: kinds of events with what each needs, scenarios of several events, and
which of them happen in one future.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

#: What a scope may name, unless a kind says otherwise; mode is that of the lane in use.
ANYWHERE = ("item_id", "location_id", "category", "supplier_id", "from_id", "mode")


@dataclass(frozen=True)
class Kind:
    """What an event of a kind needs: the word for its size with the least and most, none where
    there is no more or less; what its scope may name and has to; other words that it takes.
    """

    word: str | None
    least: float = 0.0
    most: float = 0.0
    scope: tuple[str, ...] = ANYWHERE
    must: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


_GOODS = ("item_id", "location_id", "category")
#: demand_factor: units asked for. lead_time_delay: days added to what is ordered, or due,
#: meanwhile. port_delay: days that what would arrive meanwhile is held. hub_blocked: nothing comes
#: to or leaves a place, or passes a hub on its lane. lane_blocked: nothing sets out or arrives on
#: it. supplier_down: nothing sets out. capacity_cut: share of the room of a place, or with from_id
#: of a lane, that is gone; what the lane does not take then waits and leaves first next time.
#: recall: share of the stock that is taken back when it begins. item_delisted: neither asked for
#: nor ordered. new_constraint: a limit on what is ordered. new_policy: another rule decides, in all
#: periods. new_supplier: what is ordered comes from another one in so many days, at the same price.
#: The others change money.
KINDS: Mapping[str, Kind] = {
    "demand_factor": Kind("factor", 0.0, 100.0, scope=_GOODS),
    "lead_time_delay": Kind("days", 0.0, 365.0),
    "port_delay": Kind("days", 0.0, 365.0, scope=("mode", "supplier_id", "from_id", "location_id")),
    "hub_blocked": Kind(None, scope=("location_id",), must=("location_id",)),
    "lane_blocked": Kind(None, scope=("from_id", "location_id"), must=("from_id", "location_id")),
    "supplier_down": Kind(None, scope=("supplier_id", "item_id"), must=("supplier_id",)),
    "fuel_factor": Kind("factor", 0.0, 100.0),
    "freight_factor": Kind("factor", 0.0, 100.0),
    "price_factor": Kind("factor", 0.0, 100.0),
    "duty_added": Kind("share", -1.0, 10.0),
    "capacity_cut": Kind(
        "share", 0.0, 1.0, scope=("location_id", "from_id"), must=("location_id",)
    ),
    "recall": Kind("share", 0.0, 1.0, scope=_GOODS, must=("item_id",)),
    "item_delisted": Kind(None, scope=_GOODS, must=("item_id",)),
    "new_constraint": Kind(
        "at_most", 0.0, 1e12, scope=("location_id", "supplier_id"), words=("resource",)
    ),
    "new_policy": Kind(None, scope=(), words=("policy",)),
    "new_supplier": Kind(
        "days", 0.0, 365.0, scope=("item_id", "category", "supplier_id"), words=("supplier",)
    ),
}
#: What changes money and nothing else.
MONEY = ("fuel_factor", "freight_factor", "price_factor", "duty_added")


@dataclass(frozen=True)
class Effect:
    """One event: its kind, where (columns of the rows), from which hour until which, and how
    strong.

    said: the words that only some kinds take. probability: that it happens. name, after: it happens
    only where the event of that name does. where: place in the file, for whoever has to mend it.
    """

    kind: str
    scope: Mapping[str, str]
    starts: float
    ends: float
    size: float = 1.0
    said: Mapping[str, str] = field(default_factory=dict)
    probability: float = 1.0
    name: str = ""
    after: str = ""
    where: str = ""


@dataclass(frozen=True)
class Scenario:
    """A name and the events that make it up, and the probability that any of it happens at all.

    Raises ValueError for events that wait for each other in a circle, or for one that is not there.
    """

    name: str
    title: str
    effects: tuple[Effect, ...]
    probability: float = 1.0

    def __post_init__(self) -> None:
        named = [effect.name for effect in self.effects if effect.name]
        if twice := sorted({name for name in named if named.count(name) > 1}):
            raise ValueError(f"two events are called {twice[0]!r}: name each differently")
        after = {effect.name: effect.after for effect in self.effects if effect.name}
        for effect in self.effects:
            if effect.after and effect.after not in after:
                raise ValueError(
                    f"depends_on {effect.after!r}, but no event here has that `name`"
                    + (f"; there are {', '.join(sorted(after))}" if after else "")
                )
            seen, at = [effect.name], effect.after
            while at:
                if at in seen:
                    raise ValueError(f"events wait for each other in a circle: {' → '.join(seen)}")
                seen.append(at)
                at = after[at]

    @property
    def is_certain(self) -> bool:
        """Whether all of it happens in every future."""
        return self.probability == 1.0 and all(one.probability == 1.0 for one in self.effects)

    def in_future(self, seed: int, number: int) -> Scenario:
        """What of it happens in one future: the same for the same seed and number, whatever else is
        simulated.
        """
        if self.is_certain:
            return self
        name = [ord(letter) for letter in self.name]
        luck = np.random.default_rng([seed, number, *name]).random(len(self.effects) + 1)
        if luck[0] >= self.probability:
            return replace(self, effects=(), probability=1.0)
        happens = [
            own < effect.probability for own, effect in zip(luck[1:], self.effects, strict=True)
        ]
        by_name = {one.name: k for k, one in enumerate(self.effects) if one.name}

        def is_on(k: int) -> bool:
            before = self.effects[k].after
            return happens[k] and (not before or is_on(by_name[before]))

        kept = tuple(
            replace(effect, probability=1.0, after="")
            for k, effect in enumerate(self.effects)
            if is_on(k)
        )
        return replace(self, effects=kept, probability=1.0)


def together(scenarios: list[Scenario]) -> Scenario:
    """All of several scenarios at once, whatever order they are named in; any of it happens where
    all of them would."""
    effects = []
    scenarios = sorted(scenarios, key=lambda one: one.name)
    for one in scenarios:
        for effect in one.effects:
            of = {"name": f"{one.name}.{effect.name}"} if effect.name else {}
            of |= {"after": f"{one.name}.{effect.after}"} if effect.after else {}
            effects.append(replace(effect, **of))  # type: ignore[arg-type]
    name = "_and_".join(one.name for one in scenarios)
    chance = float(np.prod([one.probability for one in scenarios]))
    title = "; ".join(one.title for one in scenarios)
    return Scenario(name, title, tuple(effects), chance)
