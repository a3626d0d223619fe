"""Small problems with a known best: Zipkin's lost sales and chains of four stations, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from models.domain import Economics, Floats, Integers
from models.learning import demands
from models.learning.demands import Law
from models.twin.network import Network

LEAD_TIMES = (1, 2, 3, 4)
SHORTAGES = (4, 9, 19, 39)
#: The stations above the store: lead times and holding costs (the store's is 1).
UPSTREAM = (3, 4, 2)
HOLDING = (1.0, 0.5, 0.2, 0.1)

#: Random numbers and a shape (T, B) -> units asked of each selling node, (T, B, N).
Sampler = Callable[[np.random.Generator, int, int], Floats]


@dataclass(frozen=True)
class Problem:
    """A network, its demand and the structured policy an agent starts from.

    mean, deviation: (N,) of one period's demand on each node's echelon. sample: draws demand;
    pmf: its probabilities, where there is one location with whole units.
    """

    name: str
    network: Network
    rule: str
    mean: Floats
    deviation: Floats
    sample: Sampler
    pmf: Floats | None = None

    @cached_property
    def window(self) -> Integers:
        """Periods an order of each node has to cover, down to the shelf, (N,)."""
        way = self.network.echelons.way_down(self.network.lead_time)
        return self.network.lead_time + way + self.network.review

    @property
    def opening(self) -> Floats:
        """Stock to start from, (N,): a window's demand at the shelf, a lead time's above."""
        parent = self.network.is_parent
        return np.ceil(np.where(parent, 1.0, self.network.lead_time + 1.0) * self.mean)


def tree(name: str, network: Network, laws: Sequence[Law | None]) -> Problem:
    """Any tree of locations; laws: (N,) the demand each node itself meets, None for none.

    It starts from capped base-stock at one location under lost sales, from (s, S) where an order
    costs money, else from base-stock, of echelons where goods are shipped on. Raises ValueError for
    a node that nobody asks for anything.
    """
    own = np.array([law.mean if law else 0.0 for law in laws])
    spread = np.array([law.deviation**2 if law else 0.0 for law in laws])
    mean, variance = network.echelons.demand(own), network.echelons.demand(spread)
    if not (mean > 0).all():
        raise ValueError(f"{name}: nobody asks node {int(mean.argmin())} for anything")
    rule = "base_stock"
    if network.economics.order_cost.any():
        rule = "s_S"
    elif network.size == 1 and network.economics.unmet == "lost":
        rule = "capped_base_stock"

    def sample(random: np.random.Generator, periods: int, paths: int) -> Floats:
        asked = np.zeros((periods, paths, network.size))
        for node, law in enumerate(laws):
            if law:
                asked[..., node] = law.draw(random, (periods, paths))
        return asked

    pmf = laws[0].pmf if network.size == 1 and laws[0] else None
    return Problem(name, network, rule, mean, np.sqrt(variance), sample, pmf)


def single(name: str, pmf: Floats, lead_time: int, shortage: float) -> Problem:
    """One location under lost sales, whole units, holding cost 1."""
    network = Network(np.array([lead_time]), _economics([1.0], [shortage], "lost"))
    return tree(name, network, [Law.of(pmf)])


def serial(name: str, lead_time: int, shortage: float) -> Problem:
    """Four stations under backlog, any quantity; demand N(5, 2), what is below 0 counted as 0."""
    network = Network(
        np.array([lead_time, *UPSTREAM]),
        _economics(HOLDING, [shortage, 0.0, 0.0, 0.0], "backlog"),
        supplied_from=np.array([1, 2, 3, -1]),
        order_multiple=np.zeros(4),
    )
    return tree(name, network, [Law.normal(5.0, 2.0), None, None, None])


def retailers(name: str, unmet: str) -> Problem:
    """A warehouse and five shops of unequal, scattered demand; whole units, p = 19."""
    means = np.array([2.0, 3.0, 4.0, 5.0, 6.0])
    network = Network(
        np.array([3, 2, 2, 2, 2, 2]),
        _economics([0.5, *[1.0] * 5], [0.0, *[19.0] * 5], unmet),
        supplied_from=np.array([-1, 0, 0, 0, 0, 0]),
    )
    laws = [Law.of(demands.negative_binomial(mean, np.sqrt(2 * mean))) for mean in means]
    return tree(name, network, [None, *laws])


def _economics(holding: object, shortage: object, unmet: str) -> Economics:
    held, short = np.array(holding, dtype=float), np.array(shortage, dtype=float)
    nothing = np.zeros(held.size)
    return Economics(held, short, nothing, nothing, unmet=unmet)  # type: ignore[arg-type]


def _cases() -> dict[str, Callable[[], Problem]]:
    cases: dict[str, Callable[[], Problem]] = {}
    for lead in LEAD_TIMES:
        for short in SHORTAGES:
            for kind, make in (
                ("zipkin", lambda n, le, p: single(n, demands.poisson(5), le, p)),
                ("geometric", lambda n, le, p: single(n, demands.geometric(5), le, p)),
                ("serial", serial),
            ):
                name = f"{kind}-L{lead}-p{short}"
                cases[name] = lambda m=make, n=name, le=lead, p=short: m(n, le, p)  # type: ignore[misc]
    for unmet in ("lost", "backlog"):
        cases[f"retailers-{unmet}"] = lambda u=unmet: retailers(f"retailers-{u}", u)  # type: ignore[misc]
    return cases


#: Every small problem by its name.
CASES = _cases()
