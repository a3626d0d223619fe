"""Safety stock stands where it costs least: no placement that can be thought of costs less, and real
chains cost what was published of them."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.replenishment.guaranteed_service import Stages, _by_pieces, place
from orchestration.app.stage_file import read_stages

WILLEMS = Path(__file__).resolve().parents[3] / "shared" / "data" / "willems"
#: What no file says: 35 % a year makes network 13 cost what was published, and then these others.
HOLDING_RATE = 0.35


def network(seed: int, size: int, longest: int, *, is_tree: bool) -> Stages:
    random = np.random.default_rng(seed)
    if is_tree:
        pairs = [(int(random.integers(k)), k) for k in range(1, size)]
        arcs = [pair if random.random() < 0.5 else pair[::-1] for pair in pairs]
    else:
        arcs = [(a, b) for b in range(size) for a in range(b) if random.random() < 0.5]
    arcs_ = np.array(arcs, dtype=np.int64).reshape(-1, 2)
    is_last = ~np.isin(np.arange(size), arcs_[:, 0])
    promise = np.where(is_last, random.integers(0, 3, size).astype(float), np.inf)
    return Stages(
        names=[f"s{k}" for k in range(size)],
        arcs=arcs_,
        lead_time=random.integers(0, longest + 1, size).astype(float),
        holding=random.integers(1, 20, size).astype(float),
        bound=random.uniform(0, 9, size),
        longest_promise=promise,
    )


def least(stages: Stages) -> float:
    """The cost of the best of all placements in whole periods."""
    best = np.inf
    spans = [
        range(int(min(longest, promise)) + 1)
        for longest, promise in zip(stages.longest, stages.longest_promise, strict=True)
    ]
    for times in product(*spans):
        service = np.array(times, dtype=float)
        promised = np.array([max((service[k] for k in s), default=0.0) for s in stages.suppliers])
        net = promised + stages.lead_time - service
        if (net >= 0).all():
            best = min(best, float(stages.cost(net).sum()))
    return best


def keeps_the_rules(made: object) -> bool:
    stages = made.stages  # type: ignore[attr-defined]
    service, inbound = made.service_time, made.inbound  # type: ignore[attr-defined]
    is_heard = all(service[a] <= inbound[b] + 1e-6 for a, b in stages.arcs.tolist())
    is_possible = (inbound + stages.lead_time - service >= -1e-6).all()
    return is_heard and bool(is_possible and (service <= stages.longest_promise + 1e-6).all())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_no_placement_costs_less(seed: int, is_tree: bool) -> None:
    stages = network(seed, 4, 2, is_tree=is_tree)
    made = place(stages, gap=1e-6)
    assert keeps_the_rules(made)
    assert made.cost == pytest.approx(least(stages), rel=1e-4, abs=1e-6)
    assert made.at_least <= made.cost + 1e-6


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_the_program_of_trees_and_that_of_all_networks_agree(seed: int) -> None:
    stages = network(seed, 12, 6, is_tree=True)
    assert stages.is_tree
    tree, pieces = place(stages), _by_pieces(stages, 30.0, 1e-5)
    assert keeps_the_rules(tree)
    assert pieces.cost == pytest.approx(tree.cost, rel=1e-3, abs=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["13", "23", "25"])
def test_real_chains_cost_what_was_published(name: str) -> None:
    with (WILLEMS / "reported_optimal_cost.csv").open() as file:
        said = {row["network"]: row["optimal_safety_stock_cost"] for row in csv.DictReader(file)}
    found = read_stages(WILLEMS / f"willems_{name}.csv", HOLDING_RATE)
    made = place(found.stages, seconds=120.0)
    assert keeps_the_rules(made)
    assert made.cost == pytest.approx(float(said[name]), rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arcs": np.array([[0, 1], [1, 2], [2, 0]])}, "in a circle: s0, s1, s2"),
        ({"lead_time": np.array([1.0, -2.0, 1.0])}, "lead_time of s1 is -2, below 0"),
        ({"holding": np.ones(2)}, "holding has 2 entries for 3 stages"),
    ],
)
def test_stages_that_make_no_sense_are_refused(change: dict[str, object], message: str) -> None:
    usual: dict[str, object] = {
        "names": ["s0", "s1", "s2"],
        "arcs": np.array([[0, 1]]),
        "lead_time": np.ones(3),
        "holding": np.ones(3),
        "bound": np.ones(3),
        "longest_promise": np.full(3, np.inf),
    }
    with pytest.raises(ValueError, match=message):
        Stages(**(usual | change))  # type: ignore[arg-type]
