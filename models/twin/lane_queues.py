"""Lanes that take only so much at a time: what does not fit waits at its sender and leaves first
the next time, in the order in which it was sent there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.domain import Floats


@dataclass(frozen=True)
class LaneQueue:
    """Lanes that share one way.

    name: as the limit on it is called. use: (E,) what a unit on each lane takes of the room, 0 on
    lanes that go another way. room: (T,) what leaves in each period at most.
    """

    name: str
    use: Floats
    room: Floats


class Departures:
    """When what is sent leaves: first come, first served.

    queues: the ways with a limit; a lane that is part of several leaves when all of them have room.
    is_open: (T,) the periods in which anything leaves. What was sent before is never overtaken, so
    what an order gets is known when it is sent: the room that is left of each period, from now on.
    Of goods sent in one period, each lane's leave in proportion, in parts of units if need be.
    """

    def __init__(self, queues: Sequence[LaneQueue], is_open: np.ndarray) -> None:
        self._uses = np.array([queue.use for queue in queues])
        self._left = np.array([np.where(is_open, queue.room, 0.0) for queue in queues])
        self._ways = [np.flatnonzero(use > 0) for use in self._uses]
        self.periods = int(is_open.size)

    def book(self, t: int, sent: Floats) -> Iterator[tuple[int, Floats]]:
        """The units sent on each lane in a period, (E,), by how many periods they wait until they
        leave; what does not leave any more waits beyond the last."""
        waits: Floats = sent.copy()
        for later in range(self.periods - t):
            part: Floats = waits * self._share(t + later, waits)
            if later == 0:  # what has no queue leaves at once
                part = np.where((self._uses > 0).any(axis=0), part, waits)
            self._left[:, t + later] -= self._uses @ part
            left = waits - part
            rest = np.where(left > 1e-9, left, 0.0)
            part, waits = waits - rest, rest  # what rounding leaves goes with the last part
            if part.any():
                yield later, part
            if not waits.any():
                return
        yield self.periods - t, waits

    def _share(self, period: int, waits: Floats) -> Floats:
        """The part of what waits on each lane that finds room in a period, (E,)."""
        share = np.ones(waits.size)
        for queue, lanes in enumerate(self._ways):
            asked = float(self._uses[queue, lanes] @ waits[lanes])
            if asked > 0:
                room = max(float(self._left[queue, period]), 0.0)
                share[lanes] = np.minimum(share[lanes], min(room / asked, 1.0))
        return share
