"""One agent for a whole company: learned on its own network, explained in parts that add up, kept
with its card, and silent where it knows nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.domain import Economics, Floats, Situation
from models.learning import saving
from models.learning.company_agent import INPUTS, NAMED, SharedAgent
from models.learning.company_training import Effort, LineTrainer, Trained, longer, summaries_along
from models.replenishment.decision import Terms, decide
from models.replenishment.echelon import Echelons, echelon_view
from models.replenishment.explain import part_in_words
from models.replenishment.notes import exceptions_of
from models.twin.network import Network
from models.twin.simulator import simulate
from orchestration.facts import kept_agents
from orchestration.home import Home
from orchestration.planning.rehearsal import _agents, check_policies

REVIEW, REVIEWS, ITEMS = 5, 6, 6
EFFORT = Effort(rows=12, paths=12, steps=60, check=10, rate=0.03)


def company() -> tuple[Network, Floats, Situation]:
    """Six items, each at a centre (rows 0 ..) and two shops; a month of sampled demand."""
    random = np.random.default_rng(0)
    count = 3 * ITEMS
    above = np.concatenate([np.full(ITEMS, -1), np.tile(np.arange(ITEMS), 2)])
    short = np.concatenate([np.zeros(ITEMS), np.full(2 * ITEMS, 6.0)])
    network = Network(
        np.concatenate([np.full(ITEMS, 6), np.full(2 * ITEMS, 2)]),
        Economics(np.full(count, 0.1), short, np.ones(count), np.zeros(count)),
        supplied_from=above,
        review=REVIEW,
        order_multiple=np.concatenate([np.full(ITEMS, 6.0), np.ones(2 * ITEMS)]),
    )
    rate = np.concatenate([np.zeros(ITEMS), random.uniform(0.5, 6, 2 * ITEMS)])
    paths = random.poisson(rate[:, None, None], (count, 80, 13)).astype(np.float32)
    stock = np.where(above < 0, 30.0, np.round(7 * rate))
    seen = Situation(
        on_hand=stock,
        pipeline=np.zeros((count, 6)),
        history=paths.mean(axis=1),
        paths=paths,
        lead_time=network.lead_time,
        review=REVIEW,
        economics=network.economics,
        moq=network.moq,
        order_multiple=network.order_multiple,
    )
    return network, paths, seen


@pytest.fixture(scope="module")
def trained() -> Trained:
    network, paths, seen = company()
    view = echelon_view(seen, network.supplied_from)
    lifted = Echelons(network.supplied_from).paths(paths)
    trainer = LineTrainer(
        network,
        longer(paths, REVIEW, REVIEWS * REVIEW),
        summaries_along(view, lifted, REVIEWS),
        seen.on_hand,
        seen.pipeline,
        items=np.tile(np.arange(ITEMS), 3),
        effort=EFFORT,
    )
    return trainer.train(1)


def test_learning_saves_money_on_futures_it_never_saw(trained: Trained) -> None:
    """Judged in the twin, on all items, half of which it was not trained on."""
    assert trained.cost < trained.curve[0][1]
    network, paths, seen = company()
    random = np.random.default_rng(5)
    rate = paths.mean(axis=(1, 2))
    demand = random.poisson(rate[:, None], (network.size, 30)).astype(float)
    before = SharedAgent({**trained.agent.params, "buffer": np.ones(1), "cap": np.full(1, 2.0)})
    before = replace(before, params=before.params | {"weight1": np.zeros(16), "bias1": np.zeros(1)})
    cost = [
        simulate(
            network, policy, demand, seen.on_hand, forecaster=lambda _: paths, order_periods=25
        ).cost.sum()
        for policy in (trained.agent, before)
    ]
    assert cost[0] < cost[1]


def test_the_parts_of_what_it_wants_add_up_and_name_what_moved_it(trained: Trained) -> None:
    network, _, seen = company()
    view = echelon_view(seen, network.supplied_from)
    wanted = trained.agent.order(view)
    parts = trained.agent.explain(view, wanted)
    total = sum(parts.values())
    assert wanted.any()
    assert total[wanted > 0] == pytest.approx(wanted[wanted > 0])
    assert (total[wanted == 0] <= 1e-9).all()
    named = np.stack([parts[f"agent_for_{name}"] != 0 for name in INPUTS])
    assert named.sum(axis=0).max() == NAMED
    assert np.stack([parts[f"agent_for_{name}"] for name in INPUTS]).any()


def test_what_it_never_saw_is_left_to_the_structured_policy_and_said(trained: Trained) -> None:
    network, _, seen = company()
    stock = seen.on_hand.copy()
    row = 2 * ITEMS
    stock[row] = 5000.0
    strange = replace(seen, on_hand=stock)
    pushed = replace(trained.agent, params=trained.agent.params | {"bias1": np.array([9.0])})
    made = decide(strange, pushed, Terms.plain(network.supplied_from, np.ones(network.size)))
    assert made.quantity[row] == 0
    told = [note for note in made.notes if row in note.rows]
    assert [note.kind for note in told] == ["agent_handed_over"]
    rows = pl.DataFrame({"item_id": ["x"] * network.size, "location_id": ["y"] * network.size})
    assert "on hand" in exceptions_of(told, rows)["reason"][0]


def test_a_kept_agent_is_found_again_and_a_changed_one_refused(
    trained: Trained, tmp_path: Path
) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    with pytest.raises(ValueError, match="no agent is kept"):
        kept_agents.policy_of(home, "agent")
    data = saving.to_bytes(trained.agent)
    card = {"sha256": hashlib.sha256(data).hexdigest(), "trained_until": "2024-03-01"}
    kept_agents.keep_agent(home, data, card)
    found = kept_agents.policy_of(home, "agent")
    network, _, seen = company()
    view = echelon_view(seen, network.supplied_from)
    assert (found.order(view) == trained.agent.order(view)).all()
    assert _agents(home, ["agent"], date(2024, 3, 1))["agent"].name == "agent"
    with pytest.raises(ValueError, match="already knows"):
        _agents(home, ["agent"], date(2024, 2, 29))
    check_policies(["agent"])
    kept_agents.keep_agent(home, data[:-8] + b"\x00" * 8, card)
    with pytest.raises(ValueError, match="train it anew"):
        kept_agents.policy_of(home, "agent")
    with pytest.raises(ValueError, match="train it anew"):
        saving.from_bytes(data)


def test_other_policies_come_by_their_names_as_before(tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    assert kept_agents.policy_of(home, "min_max").name == "min_max"
    assert kept_agents.policy_of(home, "quantile_order_up_to", 0.4).setting("lost") == 0.4


def test_every_input_has_words_a_planner_reads() -> None:
    for name in INPUTS:
        assert part_in_words(f"agent_for_{name}").startswith("changed by the agent for ")
