"""The engine is the twin: same network, same luck, same books, and the gradient is the slope."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Floats, Situation
from models.learning.engine import TRACED, Engine
from models.learning.rules import PARAMETERS, PLAIN, RULES, Params, View
from models.twin.network import Network
from models.twin.simulator import simulate

BOOKS = ("requested", "shipped", "lost", "on_hand", "owed", "cost")


@dataclass(frozen=True)
class Rule:
    """A structured rule as the twin asks it."""

    rule: str
    params: Params
    scale: Floats
    name: str = "rule"

    def order(self, situation: Situation) -> Floats:
        view = View(situation.on_hand, situation.pipeline, situation.position)
        return RULES[self.rule](PLAIN, self.params, view, self.scale)


def random_tree(random: np.random.Generator) -> Network:
    """Up to seven nodes in any order and depth; receivers take one multiple."""
    count = int(random.integers(1, 8))
    names = random.permutation(count)
    above = np.full(count, -1)
    for k in range(count):
        source = int(random.integers(-1, k)) if k else -1
        above[names[k]] = names[source] if source >= 0 else -1
    multiple = np.full(count, random.choice([0.0, 1.0, 1.0, 3.0]))
    multiple[above < 0] = random.choice([0.0, 1.0, 4.0], int((above < 0).sum()))
    costs = (random.integers(0, 9, count).astype(float) for _ in range(4))
    return Network(
        random.integers(0, 4, count),
        Economics(*costs, unmet=random.choice(["lost", "backlog"])),
        supplied_from=above,
        review=int(random.integers(1, 4)),
        moq=random.choice([0.0, 0.0, 3.0, 7.0], count),
        order_multiple=multiple,
    )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(RULES)))
def test_the_engine_books_what_the_twin_books(seed: int, rule: str) -> None:
    random = np.random.default_rng(seed)
    network = random_tree(random)
    count, periods = network.size, 15
    demand = random.poisson(3, (count, periods)).astype(float)
    on_hand = random.integers(0, 20, count).astype(float)
    scale = np.full(count, 3.0)
    params = {name: random.uniform(1, 8, count) for name in PARAMETERS[rule]}
    twin = simulate(network, Rule(rule, params, scale), demand, on_hand)
    with jax.enable_x64(True):
        engine = Engine(network)
        _, books = engine.run(
            lambda p, view: RULES[rule](TRACED, p, view, scale),
            {name: jnp.asarray(value) for name, value in params.items()},
            jnp.asarray(demand.T[:, None, :]),
            engine.start(on_hand, 1),
        )
        for name in BOOKS:
            ours = np.asarray(getattr(books, name))[:, 0].T
            assert np.allclose(ours, getattr(twin, name), atol=1e-6), name


def test_the_gradient_is_the_slope_of_the_twins_cost() -> None:
    """Where nothing is rounded, a small step of a level costs what the gradient says."""
    network = Network(
        np.array([2, 1]),
        Economics(np.array([1.0, 0.3]), np.array([9.0, 0.0]), np.zeros(2), np.zeros(2), "backlog"),
        supplied_from=np.array([1, -1]),
        order_multiple=np.zeros(2),
    )
    random = np.random.default_rng(3)
    demand = np.maximum(random.normal(5, 2, (40, 8, 2)), 0) * np.array([1.0, 0.0])
    level, opening = np.array([3.4, 5.1]), np.array([15.0, 5.0])
    with jax.enable_x64(True):
        engine = Engine(network)

        @jax.jit
        def cost(level: jax.Array) -> jax.Array:
            _, books = engine.run(
                lambda p, view: RULES["base_stock"](TRACED, p, view, np.full(2, 5.0)),
                {"level": level},
                jnp.asarray(demand),
                engine.start(opening, 8),
            )
            return books.cost.sum()

        slope = np.asarray(jax.grad(cost)(jnp.asarray(level)))
        for node in range(2):
            step = np.eye(2)[node] * 1e-6
            measured = (cost(level + step) - cost(level - step)) / 2e-6
            assert slope[node] == pytest.approx(float(measured), rel=1e-4)


def test_what_the_engine_does_not_know_is_refused() -> None:
    costs = Economics(*(np.ones(3) for _ in range(4)))
    some = Network(np.ones(3, int), replace(costs, unmet="backlog", waiting_share=0.5))
    with pytest.raises(ValueError, match="all of it waits, not a share"):
        Engine(some)
    with pytest.raises(ValueError, match="one lane a node"):
        Engine(
            Network(
                np.array([1, 1, 1, 1]),
                costs,
                supplied_from=np.array([-1, -1, -1, 0]),
                to=np.array([0, 1, 2, 1]),
                share=np.array([1.0, 0.5, 1.0, 0.5]),
            )
        )
    with pytest.raises(ValueError, match="different multiples"):
        Engine(
            Network(
                np.array([1, 1, 1]),
                costs,
                supplied_from=np.array([-1, 0, 0]),
                order_multiple=np.array([1.0, 1.0, 2.0]),
            )
        )
