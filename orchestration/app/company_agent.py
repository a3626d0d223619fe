"""Train the agent of a whole company, and keep it where the rehearsal finds it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.domain import SERIES, Floats, Situation
from models.learning import saving
from models.learning.company_agent import INPUTS
from models.learning.company_training import Effort, LineTrainer, Trained, longer, summaries_along
from models.replenishment.echelon import Echelons, echelon_view
from models.replenishment.opening_state import assumed_opening
from models.replenishment.stock_projection import within_reach
from orchestration.app.gap_table import LearningError
from orchestration.facts.kept_agents import AGENT, keep_agent
from orchestration.facts.opening_stock import read_past_opening
from orchestration.facts.planning_inputs import (
    expected_lead_times,
    read_lead_times,
    read_nodes,
    read_unmet,
)
from orchestration.home import Home, files
from orchestration.planning.demand import Demand, open_demand
from orchestration.planning.rehearsal import rehearsed_window
from orchestration.planning.replay import network_of, paths_of

#: The seed of the futures learned on; plans and rehearsals draw theirs by others.
FUTURES_SEED = 9_000
Say = Callable[[str], None]


def learn_company(
    home: Home,
    world: str,
    seeds: Sequence[int],
    out: Path | None,
    say: Say,
    effort: Effort | None = None,
) -> dict[str, Any]:
    """Train one agent for all items and locations of a company, on what was known when the newest
    rehearsal begins, so that the rehearsal can judge it.

    Each seed learns on the same futures; the cheapest on those kept aside is kept in the home (and
    in `out`). A run that went wrong counts with its last good parameters, and the card says
    why. Raises LearningError where history is too short for a rehearsal.
    """
    began = time.process_time()
    demand = open_demand(home)
    window = rehearsed_window(home, demand)
    if window is None:
        raise LearningError(
            f"{world}: its history is too short to rehearse on, so no agent could be judged: land"
            " more of it"
        )
    start = window[0]
    say(f"{world}: forecasting as of {start}")
    trainer = _trainer(home, demand, start, effort or Effort())
    runs: list[tuple[int, Trained]] = []
    for seed in seeds:

        def tell(step: int, steps: int, cost: float, seed: int = seed) -> None:
            say(f"{world}: seed {seed}, step {step} of {steps}, cost {cost:,.2f} a future")

        runs.append((seed, trainer.train(seed, tell)))
    seed, best = min(runs, key=lambda run: run[1].cost)
    data = saving.to_bytes(best.agent)
    card = {
        "name": AGENT,
        "world": world,
        "trained_until": start.isoformat(),
        "seed": seed,
        "sha256": hashlib.sha256(data).hexdigest(),
        "buffer": float(best.agent.params["buffer"][0]),
        "cap": float(best.agent.params["cap"][0]),
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
            files.write(out / name, (home.models / name).read_bytes())
    return card


def _trainer(home: Home, demand: Demand, start: date, effort: Effort) -> LineTrainer:
    """The company as it stood at `start` and the futures it saw then, ready to train on."""
    with home.connect(read_only=True) as con:
        demand = demand.known_by(con, start)
        nodes = read_nodes(con).join(
            demand.items(), on="item_id", how="semi", maintain_order="left"
        )
        served = demand.series.select(pl.struct(SERIES).alias("series"))["series"].implode()
        nodes = nodes.filter((pl.col("role") != "store") | pl.struct(SERIES).is_in(served))
        opening = read_past_opening(
            con, nodes, demand.timeline, start=start, horizon=demand.horizon
        )
        known = read_lead_times(con, demand.timeline, start)
        unmet = read_unmet(con)
    network = network_of(nodes, demand.timeline.review, *unmet)
    paths = paths_of(demand.predict(demand.train(start), start), nodes, seed=FUTURES_SEED)
    if opening is None:
        opening = assumed_opening(
            _recent(paths),
            sources=network.supplied_from,
            lead_time=network.lead_time,
            review=network.review,
        )
    sampled = expected_lead_times(nodes, known, demand.timeline)
    seen = Situation(
        on_hand=opening.on_the_shelf(),
        pipeline=opening.due,
        history=_recent(paths),
        paths=paths,
        lead_time=network.lead_time,
        review=network.review,
        economics=network.economics,
        lead_time_paths=np.zeros((0, 0), dtype=np.int64) if sampled is None else sampled,
        moq=network.moq,
        order_multiple=network.order_multiple,
    )
    view = within_reach(echelon_view(seen, network.supplied_from))
    reviews = 2 * -(-demand.horizon // network.review)
    lifted = Echelons(network.supplied_from).paths(paths) if network.is_parent.any() else paths
    summaries = summaries_along(view, lifted, reviews)
    coming = longer(paths, network.review, reviews * network.review)

    return LineTrainer(
        network,
        coming,
        summaries,
        opening.on_the_shelf(),
        opening.due,
        items=nodes["item_id"].to_numpy(),
        effort=effort,
    )


def _recent(paths: Floats) -> Floats:
    """Mean demand by period, (N, H): stands for history where only its level counts."""
    return paths.mean(axis=1, dtype=np.float64)
