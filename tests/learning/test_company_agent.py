"""One agent for a whole company: learned on its own network, explained in parts that add up, kept
with its card, and silent where it knows nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest

from models.domain import Economics, Floats, Situation
from models.learning import saving
from models.learning.company_agent import INPUTS, NAMED
from models.learning.company_training import (
    Effort,
    Lesson,
    LineTrainer,
    Review,
    Trained,
    critical,
    shortfalls,
)
from models.learning.rules import View
from models.replenishment.decision import Terms, decide
from models.replenishment.echelon import echelon_view
from models.replenishment.explain import part_in_words
from models.replenishment.notes import exceptions_of
from models.replenishment.policies import QuantileOrderUpTo
from models.replenishment.stock_projection import critical_order
from models.twin.network import Network
from models.twin.simulator import simulate
from orchestration.cli.render_run import _agent_left_out
from orchestration.facts import kept_agents
from orchestration.home import Home
from orchestration.planning.rehearsal import _agents, check_policies

REVIEW, REVIEWS, ITEMS = 5, 6, 6
EFFORT = Effort(rows=12, steps=60, check=10, rate=0.03)


def company() -> tuple[Network, Floats, Situation]:
    """Six items, each at a centre (rows 0 ..) and two shops; a month of sampled demand."""
    random = np.random.default_rng(0)
    count = 3 * ITEMS
    above = np.concatenate([np.full(ITEMS, -1), np.tile(np.arange(ITEMS), 2)])
    short = np.concatenate([np.zeros(ITEMS), np.full(2 * ITEMS, 6.0)])
    network = Network(
        np.concatenate([np.full(ITEMS, 6), np.full(2 * ITEMS, 2)]),
        Economics(np.full(count, 0.5), short, np.ones(count), np.zeros(count)),
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


def lesson(number: int, bias: float) -> Lesson:
    """Reviews at which demand was forecast to be `bias` times what came."""
    network, paths, seen = company()
    random = np.random.default_rng(100 + number)
    rate = paths.mean(axis=(1, 2))
    history = random.poisson(rate[:, None], (network.size, 65)).astype(float)
    seen = replace(seen, paths=bias * paths, history=history)
    view = echelon_view(seen, network.supplied_from)
    demand = random.poisson(rate, (REVIEWS * REVIEW, network.size)).astype(float)
    return Lesson(seen.on_hand, seen.pipeline, [Review.of(view, 40)] * REVIEWS, demand)


def learned(bias: float) -> Trained:
    """What three lessons of such forecasts teach."""
    lessons = [lesson(k, bias) for k in range(3)]
    items = np.tile(np.arange(ITEMS), 3)
    return LineTrainer(company()[0], lessons, items=items, effort=EFFORT).train(1)


def misled() -> tuple[Network, Situation]:
    """The company as its policies see it, its demand forecast at twice what comes."""
    network, paths, seen = company()
    return network, echelon_view(replace(seen, paths=2.0 * paths), network.supplied_from)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return learned(2.0)


def test_it_learns_what_its_own_forecasts_miss(trained: Trained) -> None:
    """Judged in the twin on demand it never saw, beside the rule that believes the forecast."""
    assert trained.cost < trained.curve[0][1]
    network, paths, seen = company()
    random = np.random.default_rng(5)
    rate = paths.mean(axis=(1, 2))
    demand = random.poisson(rate[:, None], (network.size, 30)).astype(float)
    cost = [
        simulate(
            network,
            policy,
            demand,
            seen.on_hand,
            history=demand[:, ::-1],
            forecaster=lambda _: 2.0 * paths,
            order_periods=25,
        ).cost.sum()
        for policy in (trained.agent, QuantileOrderUpTo(scale=0.7))
    ]
    assert cost[0] < 0.97 * cost[1]


@pytest.mark.parametrize("unmet", ["lost", "backlog"])
def test_the_rule_learned_through_is_the_rule_that_orders(
    unmet: Literal["lost", "backlog"],
) -> None:
    """Between the samples' steps, for shops and their centres, with goods on the way."""
    network, _, seen = company()
    economics = replace(network.economics, unmet=unmet)
    due = np.random.default_rng(2).integers(0, 9, seen.pipeline.shape).astype(float)
    owed = np.where(network.is_parent | (unmet == "lost"), 0.0, 3.0)
    seen = replace(seen, pipeline=due, economics=economics, backlog=owed)
    view = echelon_view(seen, network.supplied_from)
    known = Review.of(view, 80)
    state = View(view.on_hand[None], view.pipeline[None], view.position[None])
    is_lost = unmet == "lost"
    lacking = shortfalls(state, known, REVIEW, is_lost=is_lost)
    shortage = 0.7 * known.shortage
    found = np.asarray(critical(lacking, economics.holding, shortage, is_lost=is_lost)[0])
    exact = critical_order(view, shortage)
    assert np.abs(found - exact).max() < 1.5
    assert np.corrcoef(found, exact)[0, 1] > 0.999


def test_the_parts_of_what_it_wants_add_up_and_name_what_moved_it(trained: Trained) -> None:
    _, view = misled()
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
    network, paths, seen = company()
    seen = replace(seen, paths=2.0 * paths)
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


def test_a_run_says_why_a_kept_agent_was_not_rehearsed(trained: Trained, tmp_path: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    without = pl.DataFrame({"policy": ["min_max"]})
    assert _agent_left_out(home, without) == ""
    data = saving.to_bytes(trained.agent)
    card = {"sha256": hashlib.sha256(data).hexdigest(), "trained_until": "2024-03-01"}
    kept_agents.keep_agent(home, data, card)
    assert "learned from days before 2024-03-01" in _agent_left_out(home, without)
    assert _agent_left_out(home, pl.DataFrame({"policy": ["min_max", "agent"]})) == ""


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
    again = replace(trained.agent, params=trained.agent.params | {"bias1": np.ones(1)})
    newer = saving.to_bytes(again)
    kept_agents.keep_agent(home, newer, card | {"sha256": hashlib.sha256(newer).hexdigest()})
    place = Home.found(tmp_path / "place", "tiny")
    kept_agents.share_agent(home, place, card["sha256"][: kept_agents.DIGITS])
    shared = kept_agents.kept_agent(place)
    assert shared is not None and shared.card == card
    with pytest.raises(ValueError, match="not in"):
        kept_agents.share_agent(home, place, "0" * kept_agents.DIGITS)
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


def test_a_net_that_its_own_structured_part_is_better_off_without_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One step from a net that orders half a review's demand too much, forecasts being right."""
    effort = replace(EFFORT, steps=1)
    lessons, items = [lesson(k, 1.0) for k in range(3)], np.tile(np.arange(ITEMS), 3)
    trainer = LineTrainer(company()[0], lessons, items=items, effort=effort)
    begin = trainer._start
    monkeypatch.setattr(trainer, "_start", lambda seed: begin(seed) | {"bias1": np.full(1, 2.0)})
    found = trainer.train(1)
    assert found.cost == found.structured_cost < min(cost for _, cost in found.curve)
    assert not found.agent.params["bias1"].any() and not found.agent.params["weight1"].any()
