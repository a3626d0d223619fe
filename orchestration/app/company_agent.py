"""Train the agent of a whole company on its own past, and keep it where the rehearsal finds it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Integers, Situation
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import panels
from models.learning import saving
from models.learning.company_agent import INPUTS
from models.learning.company_training import Effort, Lesson, LineTrainer, Review, Trained
from models.replenishment.echelon import echelon_view
from models.replenishment.opening_state import assumed_opening
from models.replenishment.policies import DEFAULT
from models.replenishment.situations import sources_of
from models.replenishment.stock_projection import within_reach
from models.twin.network import Network
from orchestration.app.gap_table import LearningError
from orchestration.facts import decisions
from orchestration.facts.kept_agents import AGENT, keep_agent
from orchestration.facts.planning_inputs import (
    expected_lead_times,
    read_lead_times,
    read_nodes,
    read_unmet,
)
from orchestration.home import Home, files
from orchestration.planning.demand import Demand, open_demand
from orchestration.planning.rehearsal import (
    LEARNING_WINDOWS,
    WINDOWS,
    history_ends,
    rehearsed_window,
)
from orchestration.planning.replay import RETRAIN, network_of, paths_of, revealed_demand

#: So many decision windows (lead time + review) of the past are learned from, at most: older
#: forecasts were made by models that knew less, and err otherwise.
LEARNED_WINDOWS = 8
Say = Callable[[str], None]


def learn_company(
    home: Home,
    world: str,
    seeds: Sequence[int],
    out: Path | None,
    say: Say,
    effort: Effort | None = None,
    *,
    before: date | None = None,
    forecasts: dict[date, Forecast] | None = None,
) -> dict[str, Any]:
    """Train one agent for all items and locations of a company on the reviews of its past: what was
    forecast at each by what was known then, and the demand that came.

    It knows nothing from the midnight beginning `before` on; left out, the newest rehearsal's first
    day, so that the rehearsal can judge it. Each seed learns on the same lessons; the cheapest in
    the newest lesson, which none learns from, is kept in the home (and in `out`). A run that went
    wrong counts with its last good parameters, and the card says why. forecasts: by review, made
    for an earlier training; those not there are made, and added. Raises LearningError where history
    is too short.
    """
    began = time.process_time()
    demand = open_demand(home)
    if before is None:
        window = rehearsed_window(home, demand)
        if window is None:
            raise LearningError(
                f"{world}: its history is too short to rehearse on, so no agent could be judged:"
                " land more of it"
            )
        before = window[0]
    unseen = demand.timeline.periods_from(before, history_ends(home, demand.timeline))
    trainer, reviews = _trainer(
        home, demand, before, effort or Effort(), {} if forecasts is None else forecasts, say
    )
    runs: list[tuple[int, Trained]] = []
    for seed in seeds:

        def tell(step: int, steps: int, cost: float, seed: int = seed) -> None:
            say(f"{world}: seed {seed}, step {step} of {steps}, cost {cost:,.2f} a lesson")

        runs.append((seed, trainer.train(seed, tell)))
    seed, best = min(runs, key=lambda run: run[1].cost)
    data = saving.to_bytes(best.agent)
    card = {
        "name": AGENT,
        "world": world,
        "trained_until": before.isoformat(),
        "unseen_periods": max(unseen, 0),
        "beside": _beside(home, demand),
        "reviews": reviews,
        "seed": seed,
        "sha256": hashlib.sha256(data).hexdigest(),
        "scale": float(best.agent.params["scale"][0]),
        "range": {
            name: [float(np.sinh(best.agent.params[bound][k])) for bound in ("low", "high")]
            for k, name in enumerate(INPUTS)
        },
        "start_cost": best.curve[0][1],
        "structured_cost": best.structured_cost,
        "cost": best.cost,
        "seconds": round(time.process_time() - began, 1),
        "runs": [{"seed": k, "ended": run.ended, "curve": run.curve} for k, run in runs],
    }
    keep_agent(home, data, card)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for name in ("agent.safetensors", "agent.json"):
            files.write(out / name, (home.agent / name).read_bytes())
    return card


def _beside(home: Home, demand: Demand) -> str:
    """The rule that decides now, or the line's own where none does yet or an agent did."""
    last = decisions.latest(home.decisions, "champions", demand.timeline.now_at)
    name = DEFAULT if last is None else str(last.filter("is_champion")["policy"].item())
    return DEFAULT if name == AGENT else name


def _trainer(
    home: Home,
    demand: Demand,
    before: date,
    effort: Effort,
    forecasts: dict[date, Forecast],
    say: Say,
) -> tuple[LineTrainer, int]:
    """The company and the lessons of its past, ready to train on, and how many reviews they are."""
    days = _reviews(demand, before)
    window = -(-demand.horizon // demand.timeline.review)
    length = min(WINDOWS * window, len(days) // 2)
    if length < window:  # an order with the longest lead time would never be seen to arrive
        raise LearningError(
            f"{len(days)} reviews before {before} can be learned from, and {2 * window} are needed"
            f" (two lessons of {window}, the longest lead time and a review): land more history"
        )
    periods = len(days) * demand.timeline.review
    with home.connect(read_only=True) as con:
        demand = demand.known_by(con, before)
        nodes = read_nodes(con).join(
            demand.items(), on="item_id", how="semi", maintain_order="left"
        )
        served = demand.series.select(pl.struct(SERIES).alias("series"))["series"].implode()
        nodes = nodes.filter((pl.col("role") != "store") | pl.struct(SERIES).is_in(served))
        known = read_lead_times(con, demand.timeline, before)
        unmet = read_unmet(con)
        truth = demand.truth(con, days[0], periods, known_by=before)
    _forecast(demand, days, forecasts, say)
    say(f"laying out {len(days)} reviews before {before}")
    network = network_of(nodes, demand.timeline.review, *unmet)
    past = _past(demand, nodes, before)
    came = [demand.timeline.shift(days[0], k) for k in range(periods)]
    asked = revealed_demand(
        truth, nodes.select(SERIES), came, demand.timeline.spec(demand.horizon)
    ).T
    first = past.shape[1] - demand.timeline.periods_from(days[0], before)
    ends = [first + k * network.review for k in range(len(days))]
    sampled = expected_lead_times(nodes, known, demand.timeline)
    reviews = [
        _review(network, past[:, :end], paths_of(forecasts[day], nodes, seed=end), sampled, effort)
        for day, end in zip(days, ends, strict=True)
    ]
    newest = len(days) - length
    lessons = [
        Lesson(
            *_opening(past[:, : ends[k]], nodes, network),
            reviews[k : k + length],
            asked[k * network.review : (k + length) * network.review],
        )
        for k in (newest, *range(newest - length, -1, -max(length // 3, 1)))
    ]
    items = nodes["item_id"].to_numpy()
    return LineTrainer(network, lessons, items=items, effort=effort), len(days)


def _review(
    network: Network,
    history: Floats,
    paths: Floats,
    lead_times: Integers | None,
    effort: Effort,
) -> Review:
    """What policies saw at a review of the past, whatever the stock then was."""
    nobody = np.zeros((0, 0), dtype=np.int64)
    seen = Situation(
        on_hand=np.zeros(network.size),
        pipeline=np.zeros((network.size, 1)),
        history=history,
        paths=paths[:, : effort.samples],
        lead_time=network.lead_time,
        review=network.review,
        economics=network.economics,
        lead_time_paths=nobody if lead_times is None else lead_times[:, : effort.samples],
        moq=network.moq,
        order_multiple=network.order_multiple,
    )
    view = within_reach(echelon_view(seen, network.supplied_from))
    return Review.of(view, effort.samples)


def _reviews(demand: Demand, before: date) -> list[date]:
    """The reviews to learn from, in order: those whose interval was over and reported by then."""
    timeline = demand.timeline
    learns, reported = timeline.shift(demand.first, LEARNING_WINDOWS * demand.horizon), before
    if demand.unreported(before):
        reported = demand.edge(before)
    most = LEARNED_WINDOWS * -(-demand.horizon // timeline.review)
    days = [timeline.shift(before, -k * timeline.review) for k in range(most + 1, 0, -1)]
    over = [day for day in days if timeline.shift(day, timeline.review) <= reported]
    return [day for day in over if day >= learns][-most:]


def _forecast(
    demand: Demand, days: Sequence[date], forecasts: dict[date, Forecast], say: Say
) -> None:
    """Add the forecasts that are not there yet, each by what was known at its midnight, by a model
    that is trained anew at every RETRAIN-th review since history began."""
    timeline, chunks = demand.timeline, dict[int, list[date]]()
    for day in days:
        if day not in forecasts:
            number = timeline.periods_from(demand.first, day) // timeline.review
            chunks.setdefault(number // RETRAIN, []).append(day)
    for count, some in enumerate(chunks.values(), 1):
        say(f"forecasting as of {some[0]}, {count} of {len(chunks)}")
        model = demand.train(some[0])
        for day, known in zip(some, demand.inputs_at(some), strict=True):
            forecasts[day] = known.forecast(model)


def _past(demand: Demand, nodes: pl.DataFrame, before: date) -> Floats:
    """(N, T) demand until `before` as known then, NaN where it is unknown."""
    spec = demand.timeline.spec(demand.horizon)
    keys, labels = nodes.select(SERIES), demand.labels(before)
    found = panels(labels, keys, ["demand"], spec)["demand"].values.astype(np.float64)
    found[~nodes["is_forecast"].to_numpy()] = 0.0
    return found


def _opening(past: Floats, nodes: pl.DataFrame, network: Network) -> tuple[Floats, Floats]:
    """The stock and the open orders a lesson starts from: the same cover for every row."""
    opening = assumed_opening(
        past, sources=sources_of(nodes), lead_time=network.lead_time, review=network.review
    )
    return opening.on_the_shelf(), opening.due
