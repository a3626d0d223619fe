"""What is learned is near the proved best, repeatable, and never worse than what it started from;
what goes wrong is stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from models.domain import Integers, Policy, Situation
from models.learning import gaps, oracles, problems, saving
from models.learning.agent import Agent
from models.learning.study import AGENT, Study, measure
from models.learning.training import Learned, Settings, Trainer

#: Short enough for a test, long enough for the law.
SHORT = Settings(steps=(120, 160), paths=128, periods=45, check=20, dev_paths=400, dev_periods=150)


def _orders_by_state(policy: Policy, problem: problems.Problem, shape: tuple[int, ...]) -> Integers:
    """What a policy orders in every state of one location (on hand, due in 1, ...): for its exact
    cost."""
    states = np.indices(shape).reshape(len(shape), -1).astype(np.float64)
    count = states.shape[1]
    network = gaps.copies_of(problem.network, count)
    seen = Situation(
        on_hand=states[0],
        pipeline=states[1:].T,
        history=np.zeros((count, 0)),
        paths=None,
        lead_time=network.lead_time,
        review=network.review,
        economics=network.economics,
    )
    return policy.order(seen).reshape(shape).astype(np.int64)


@pytest.fixture(scope="module")
def lost_sales() -> tuple[Study, Learned]:
    """Zipkin's case of lead time 2, p = 9: one seed, and the same seed again."""
    trainer = Trainer(problems.CASES["zipkin-L2-p9"](), SHORT)
    structured = trainer.structured()
    first, again = (trainer.agent(structured.params, 3) for _ in range(2))
    return Study(trainer, structured, [first]), again


def test_an_agent_learned_in_seconds_is_within_half_a_percent_of_the_optimum(
    lost_sales: tuple[Study, Learned],
) -> None:
    study, _ = lost_sales
    problem = study.trainer.problem
    best = gaps.reference(problem)
    rows = measure(study, best, [1.0, 2.0], gaps.Yardstick(problem, copies=1000))
    agent = next(row for row in rows if row.policy == AGENT)
    assert agent.gap < 0.005
    assert agent.seconds == 3.0
    assert isinstance(best.policy, gaps.TablePolicy)
    shape = tuple(size + 6 for size in best.policy.orders.shape)
    orders = np.minimum(_orders_by_state(study.agent, problem, shape), shape[1] - 1)
    exact = oracles.lost_sales(problem.pmf, 2, 1, 9, orders=orders).cost / best.cost - 1
    slack = 0.0005
    assert agent.interval[0] - slack < exact < agent.interval[1] + slack


def test_the_same_seed_learns_the_same_agent(lost_sales: tuple[Study, Learned]) -> None:
    study, again = lost_sales
    ours = saving.to_bytes(study.agent)
    assert ours == saving.to_bytes(study.trainer.made(again))
    assert again.curve == study.runs[0].curve


def test_an_agent_is_never_worse_than_its_start_on_the_development_paths(
    lost_sales: tuple[Study, Learned],
) -> None:
    study, again = lost_sales
    assert again.cost <= study.structured.cost
    assert again.is_whole


def test_a_chain_learned_by_gradients_is_within_half_a_percent_of_clark_and_scarf() -> None:
    problem = problems.CASES["serial-L2-p9"]()
    trainer = Trainer(problem, replace(SHORT, steps=(150, 1), periods=60))
    found = trainer.structured()
    best = gaps.reference(problem)
    yard = gaps.Yardstick(problem, copies=500)
    extra = yard.cost(trainer.made(found)) - yard.cost(best.policy)
    assert gaps.gap("x", "y", extra, best.cost, seconds=0, seed=0).gap < 0.005


def seen(on_hand: float, due: float, trainer: Trainer) -> Situation:
    network = trainer.problem.network
    return Situation(
        on_hand=np.array([on_hand]),
        pipeline=np.array([[due, 0.0]]),
        history=np.zeros((1, 0)),
        paths=None,
        lead_time=network.lead_time,
        review=1,
        economics=network.economics,
    )


def test_outside_the_range_of_its_training_the_structured_policy_decides(
    lost_sales: tuple[Study, Learned],
) -> None:
    study, _ = lost_sales
    usual, strange = seen(4.0, 5.0, study.trainer), seen(4.0, 400.0, study.trainer)
    assert not study.agent.is_outside(usual).any()
    assert study.agent.is_outside(strange).all()
    pushed = replace(study.agent, params=study.agent.params | {"bias2": np.array([50.0])})
    most = study.agent.form.bound[0]
    structured = study.agent.bare
    assert pushed.order(strange) == structured.order(strange)
    assert pushed.order(usual) == pytest.approx(structured.order(usual) + most, abs=1)


def test_a_kept_agent_orders_the_same_and_a_damaged_one_is_refused(
    lost_sales: tuple[Study, Learned],
) -> None:
    study, _ = lost_sales
    data = saving.to_bytes(study.agent)
    back = saving.from_bytes(data)
    problem = study.trainer.problem
    for agent in (study.agent, back):
        orders = _orders_by_state(agent, problem, (15, 9))
        assert (orders == _orders_by_state(study.agent, problem, (15, 9))).all()
    nan = replace(study.agent, params=study.agent.params | {"bias2": np.array([np.nan])})
    wide = replace(study.agent, params=study.agent.params | {"bias2": np.zeros(2)})
    for broken in (data[:-8], data[:20], b"", b"\x80\x04pickle" * 9, _head(data, rule="none")):
        with pytest.raises(ValueError, match="train it anew"):
            saving.from_bytes(broken)
    for agent in (nan, wide):
        with pytest.raises(ValueError, match="train it anew"):
            saving.from_bytes(saving.to_bytes(agent))


def _head(data: bytes, **said: str) -> bytes:
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    head["__metadata__"] |= said
    words = json.dumps(head).encode()
    return len(words).to_bytes(8, "little") + words + data[8 + length :]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(lambda loss: loss * jnp.nan, "not a number"), (lambda loss: -loss * 50, "ran away")],
    ids=["nan", "diverging"],
)
def test_a_run_that_goes_wrong_is_stopped_and_the_last_good_is_kept(
    trouble: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SHORT, steps=(400, 1), rate=(1.0, 0.004), dev_paths=50)
    trainer = Trainer(problems.CASES["serial-L1-p4"](), settings)
    plain = trainer._loss

    def wrong(*given: Any) -> Any:
        loss, state = plain(*given)
        return trouble(loss), state

    monkeypatch.setattr(trainer, "_loss", wrong)
    found = trainer.structured()
    assert reason in found.ended
    assert not found.is_whole
    assert found.cost <= found.curve[0][1]
    assert all(np.isfinite(value).all() for value in found.params.values())


def test_rows_that_are_no_copies_of_the_network_are_refused(
    lost_sales: tuple[Study, Learned],
) -> None:
    study, _ = lost_sales
    two = replace(study.agent.form, scale=np.ones(2), step=np.ones(2), bound=np.ones(2))
    with pytest.raises(ValueError, match="trained on 2 nodes"):
        Agent(two, {}).order(seen(1.0, 1.0, study.trainer))


def test_a_kept_agent_is_plain_data(tmp_path: Path, lost_sales: tuple[Study, Learned]) -> None:
    study, _ = lost_sales
    data = saving.to_bytes(study.agent)
    length = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + length])
    assert head["params.weight0"]["dtype"] == "F64"
    assert b"pickle" not in data
