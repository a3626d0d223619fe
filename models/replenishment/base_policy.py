"""What every registered policy can do beside ordering: say why, and vary its setting where it has
one."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal, Protocol, Self

import numpy as np

from models.domain import Floats, Policy, Situation
from models.replenishment.stock_projection import window_demand

Unmet = Literal["lost", "backlog"]


class RegisteredPolicy(Policy, Protocol):
    """A policy the registry knows: it orders, explains its orders, and can be tuned by replaying
    what already happened."""

    is_legacy: ClassVar[bool]
    sees_events: ClassVar[bool]
    settings: ClassVar[tuple[float, ...]]

    def setting(self, unmet: Unmet) -> float | None:
        """The setting it decides with, where it has one."""
        ...

    def with_setting(self, setting: float) -> Self:
        """The same policy with another setting."""
        ...

    def explain(
        self, situation: Situation, need: Floats, as_sold: Floats | None = None
    ) -> dict[str, Floats]:
        """The reasons of what it wants, (N,) units each."""
        ...


class BasePolicy:
    """A rule without a setting, explained by the mean demand of the window and what it holds beyond
    that.

    is_legacy: whether companies run it today, from past demand alone. sees_events: whether it looks
    at what is told of events in force. settings: what a rehearsal
    tries beside the one in use.
    """

    is_legacy: ClassVar[bool] = False
    sees_events: ClassVar[bool] = False
    settings: ClassVar[tuple[float, ...]] = ()

    def setting(self, unmet: Unmet) -> float | None:
        """No setting."""
        return None

    def with_setting(self, setting: float) -> Self:
        """Refused: there is nothing to set."""
        raise ValueError(
            f"{type(self).__name__} has no setting to tune, so {setting:g} cannot be one"
        )

    def explain(
        self, situation: Situation, need: Floats, as_sold: Floats | None = None
    ) -> dict[str, Floats]:
        """Expected demand of the window, the rule's buffer, and the stock position, (N,) units
        each.

        A rule that waits, or caps its orders, has no level to show beyond what it orders.
        """
        certain = replace(situation, lead_time_paths=np.zeros((0, 0), dtype=np.int64))
        mean = window_demand(certain).mean(axis=1)
        position = situation.position
        level = np.where(need > 0, position + need, np.minimum(self._level(situation), position))
        return {"expected_demand": mean, "buffer": level - mean, "stock_position": -position}

    def _level(self, situation: Situation) -> Floats:
        target = getattr(self, "target", None)
        return situation.position if target is None else target(situation)
