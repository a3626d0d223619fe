"""Learn to replenish: the small problems with a known best anew, and networks of one's own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.domain import Floats, Policy, Situation
from models.learning import gaps, problems, saving, study, training
from models.learning.agent import Agent
from models.replenishment.base_policy import BasePolicy
from models.twin.simulator import SimulationResult, simulate
from orchestration.app.gap_table import KEPT, LearningError, code_version, read, report
from orchestration.app.network_file import read_network
from orchestration.home import files

#: The small problems whose gaps are kept in git.
SMALL = tuple(problems.CASES)
SEEDS = (0, 1)
#: A front of cost and service is learned with a missing unit costing so many times what it does.
FRONT = (0.25, 0.5, 1.0, 2.0, 4.0)
#: Says what is being done, in one line.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to learn, and on how many copies of the network the twin then measures."""

    settings: training.Settings = field(default_factory=training.Settings)
    copies: int = gaps.COPIES


def retrain(
    names: Sequence[str],
    seeds: Sequence[int],
    say: Say,
    kept: Path = KEPT,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Learn and measure these problems anew; each is kept as soon as it is done.

    Rows of problems that are not named stay while the code is the same. Raises LearningError for a
    problem nobody has written.
    """
    unknown = sorted(set(names) - set(problems.CASES))
    if unknown:
        raise LearningError(
            f"no small problem is called {', '.join(unknown)}; they are zipkin-, serial- and"
            " geometric-, each with -L1 to -L4 and -p4, -p9, -p19, -p39, and retailers-lost and"
            " retailers-backlog"
        )
    code = code_version()
    try:
        result = read(kept)
    except LearningError:
        result = {"code": code, "rows": [], "curves": {}}
    if result["code"] != code:
        result |= {"code": code, "rows": [], "curves": {}}
    for name in names:
        rows, curves = _measured(name, seeds, say, effort)
        result["rows"] = [row for row in result["rows"] if row["problem"] != name] + rows
        result["curves"][name] = curves
        order = list(problems.CASES)
        result["rows"].sort(key=lambda row: (order.index(row["problem"]), row["policy"]))
        kept.parent.mkdir(parents=True, exist_ok=True)
        files.write(kept, _lines(result))
    return report(kept)


def _measured(
    name: str, seeds: Sequence[int], say: Say, effort: Effort | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of one small problem and the learning curves behind them."""
    problem = problems.CASES[name]()
    done, seconds = _learned(problem, seeds, say, effort)
    say(f"{name}: measuring in the twin")
    rows = study.measure(done, gaps.known(problem), seconds, _yardstick(problem, effort))
    return [row.as_dict() for row in rows], _curves(done)


def _learned(
    problem: problems.Problem,
    seeds: Sequence[int],
    say: Say,
    effort: Effort | None,
) -> tuple[study.Study, list[float]]:
    """What was learned, and the processor seconds of the structured part and of each seed."""

    def tell(word: str, step: int, steps: int, cost: float) -> None:
        say(f"{problem.name}: {word}, step {step} of {steps}, cost {cost:,.4g} a period")

    began = time.process_time()
    trainer = training.Trainer(problem, effort.settings if effort else None)
    structured = trainer.structured(tell)
    seconds, runs = [time.process_time() - began], []
    for seed in seeds:
        began = time.process_time()
        runs.append(trainer.agent(structured.params, seed, tell))
        seconds.append(time.process_time() - began)
    return study.Study(trainer, structured, runs), seconds


def _curves(done: study.Study) -> list[dict[str, Any]]:
    return [
        {"seed": run.seed, "ended": run.ended, "curve": [[k, round(c, 5)] for k, c in run.curve]}
        for run in (done.structured, *done.runs)
    ]


def _yardstick(problem: problems.Problem, effort: Effort | None) -> gaps.Yardstick:
    """The twin, with fewer copies of a network that has more nodes than the small problems do."""
    copies = effort.copies if effort else gaps.COPIES
    return gaps.Yardstick(problem, copies=max(min(copies, 4 * copies // problem.mean.size), 2))


def _optimum(problem: problems.Problem) -> gaps.Reference | None:
    """The exact optimum where it can be enumerated."""
    network = problem.network
    if problem.rule != "capped_base_stock" or network.review > 1 or network.lead_time[0] < 1:
        return None
    if problem.pmf is None or network.moq[0] > 1 or network.order_multiple[0] != 1:
        return None
    try:
        return gaps.reference(problem)
    except ValueError:  # too many states
        return None


def _lines(result: dict[str, Any]) -> str:
    """JSON with a line a row, so that git shows what changed."""
    rows = ",\n".join(json.dumps(_rounded(row)) for row in result["rows"])
    curves = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(curve)}" for name, curve in result["curves"].items()
    )
    return f'{{"code": "{result["code"]}",\n"rows": [\n{rows}\n],\n"curves": {{\n{curves}\n}}}}\n'


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    short = {name: round(row[name], 5) for name in ("cost", "reference", "gap")}
    interval = [round(bound, 5) for bound in row["interval"]]
    return row | short | {"interval": interval, "seconds": round(row["seconds"], 1)}


def learn_network(
    path: Path,
    seeds: Sequence[int],
    out: Path,
    say: Say,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Train an agent for a network file and keep it in a folder: agent.safetensors and its card,
    agent.json.

    The reference is the exact optimum where there is one location under lost sales that can be
    enumerated, else the structured policy tuned by gradients. A run that went wrong counts with its
    last good parameters, and the card says why it ended. Raises LearningError for a file that
    cannot be read.
    """
    names, problem = read_network(path)
    done, seconds = _learned(problem, seeds, say, effort)
    say(f"{problem.name}: measuring in the twin")
    rows = study.measure(done, _optimum(problem), seconds, _yardstick(problem, effort))
    data = saving.to_bytes(done.agent)
    card = {
        "name": study.AGENT,
        "problem": problem.name,
        "nodes": names,
        "trained_on": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "rule": problem.rule,
        "levels": {
            name: np.round(value * problem.mean, 3).tolist()
            for name, value in done.agent.bare.params.items()
        },
        "seed": done.chosen.seed,
        "code": code_version(),
        "sha256": hashlib.sha256(data).hexdigest(),
        "reference": "optimum" if _optimum(problem) else done.structured_name,
        "rows": [_rounded(row.as_dict()) for row in rows],
        "handed_over": _handed_over(problem, done.agent, effort),
        "runs": _curves(done),
    }
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / "agent.safetensors", data)
    files.write(out / "agent.json", json.dumps(card, indent=1))
    read_agent(out)  # what was written can be read
    return card


def learn_front(
    path: Path,
    seed: int,
    out: Path,
    say: Say,
    effort: Effort | None = None,
    prices: Sequence[float] = FRONT,
) -> dict[str, Any]:
    """What service costs on a network: one agent for each price of a missing unit, and what each
    does in the twin on the same demand, kept in front.json.

    Rows: price (times the file's), holding and ordering cost a period, fill_rate, and bullwhip, the
    variance of the shops' orders over that of their demand.
    """
    _, problem = read_network(path)
    rows = []
    for price in prices:
        priced = _priced(problem, price)
        done, _ = _learned(priced, [seed], say, effort)
        say(f"{problem.name}: measuring at {price:g} times the price of a missing unit")
        rows.append({"price": price, **_service(problem, done.agent, effort)})
    result = {"problem": problem.name, "seed": seed, "code": code_version(), "rows": rows}
    out.mkdir(parents=True, exist_ok=True)
    files.write(out / "front.json", json.dumps(result, indent=1))
    return result


def _priced(problem: problems.Problem, price: float) -> problems.Problem:
    economics = problem.network.economics
    dearer = replace(economics, shortage=economics.shortage * price)
    return replace(problem, network=replace(problem.network, economics=dearer))


def _service(
    problem: problems.Problem, agent: Agent, effort: Effort | None
) -> dict[str, float | None]:
    """Costs a period of one copy of the network, and the share of demand met at once."""
    copies, periods = _copies(effort), gaps.PERIODS
    lived = _lived(problem, agent, copies)
    bullwhip = lived.bullwhip(~lived.network.is_parent)
    return {
        "holding": float(lived.holding.sum()) / copies / periods,
        "ordering": float(lived.ordering.sum()) / copies / periods,
        "fill_rate": lived.fill_rate,
        "bullwhip": bullwhip if np.isfinite(bullwhip) else None,
    }


def _copies(effort: Effort | None) -> int:
    return max(min(effort.copies if effort else 500, 500), 2)


def _lived(problem: problems.Problem, policy: Policy, copies: int) -> SimulationResult:
    """So many copies of the network in the twin, on the demand of the test."""
    drawn = problem.sample(np.random.default_rng(gaps.TEST), gaps.PERIODS, copies)
    network, demand = gaps.copies_of(problem.network, copies), drawn.reshape(gaps.PERIODS, -1).T
    return simulate(network, policy, demand, np.tile(problem.opening, copies))


@dataclass(frozen=True)
class _Watched(BasePolicy):
    """An agent, and at each review the share of networks its structured policy decides for
    alone."""

    agent: Agent
    shares: list[float]
    name: str = study.AGENT

    def order(self, situation: Situation) -> Floats:
        self.shares.append(float(self.agent.is_outside(situation).mean()))
        return self.agent.order(situation)


def _handed_over(problem: problems.Problem, agent: Agent, effort: Effort | None) -> float:
    """The share of decisions on unseen demand that the structured policy takes alone, as the agent
    sees what lies outside the range of its training."""
    watched = _Watched(agent, [])
    _lived(problem, watched, _copies(effort))
    return float(np.mean(watched.shares))


def read_agent(folder: Path) -> Agent:
    """The agent of a folder that `learn` wrote. Raises LearningError where it is not there, or not
    the one its card speaks of."""
    try:
        data = (folder / "agent.safetensors").read_bytes()
        card = json.loads((folder / "agent.json").read_text(encoding="utf-8"))
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise ValueError("the checksum of its card is another; train it anew")
        return saving.from_bytes(data)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearningError(f"{folder}: {error}") from error
