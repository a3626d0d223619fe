"""A forecast that many simulations decide on: what follows from it alone is worked out once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np

from models.domain import Floats, Situation
from models.replenishment.stock_projection import Asked, added_up, drawn_out, remembering
from models.twin.network import Network


class Outlook:
    """One forecast of a network as it stands in every period to come; beyond its end its last
    review interval goes on.

    paths: (N, S, H) sampled demand from period 0 on, of shipping nodes their own direct demand
    only. Call it for the paths of a period, as any forecaster; `simulate` asks it for what is added
    up downstream and over time, which any number of simulations of this network share, in threads
    too.
    """

    def __init__(self, paths: Floats, network: Network) -> None:
        self._own, self._network = paths, network
        self._paths = network.echelons.paths(paths) if network.is_parent.any() else paths
        self._known: dict[int, tuple[Floats, Asked]] = {}
        self._decisions: dict[tuple[object, ...], tuple[Floats, Floats]] = {}
        self._lock = Lock()

    def __call__(self, t: int) -> Floats:
        """Sample paths (N, S, H) of the periods from t on."""
        return self._from(self._own, t)

    def _from(self, paths: Floats, t: int) -> Floats:
        return drawn_out(paths, t, self._network.review)[:, :, t:]

    def lifted(self, t: int, network: Network) -> Floats:
        """The paths of a period with a shipping node's as its echelon's, the same array each time.

        Raises ValueError for another network than its own.
        """
        if network is not self._network:
            raise ValueError("an outlook serves the network that it was made for, and no other")
        with self._lock:
            if t not in self._known:
                paths = self._from(self._paths, t)
                nobody = np.zeros((0, 0), dtype=np.int64)
                self._known[t] = (paths, Asked(added_up(paths), nobody))
            return self._known[t][0]

    def remembered(self, t: int, view: Situation) -> Situation:
        """A view of these paths that knows what its futures ask for."""
        sampled = view.lead_time_paths
        lead = (
            sampled if sampled.size else np.repeat(view.lead_time[:, None], self._samples, axis=1)
        )
        with self._lock:
            paths, asked = self._known[t]
            if not np.array_equal(asked.lead, lead):
                asked = Asked(asked.total, lead)
                self._known[t] = (paths, asked)
        return remembering(view, asked)

    def decision(
        self, state: tuple[object, ...], anew: Callable[[], tuple[Floats, Floats]]
    ) -> tuple[Floats, Floats]:
        """What was decided in a state, worked out the first time somebody is in it."""
        if state not in self._decisions:
            self._decisions[state] = anew()
        return self._decisions[state]

    @property
    def _samples(self) -> int:
        return int(self._own.shape[1])
