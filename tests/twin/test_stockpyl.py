"""stockpyl, written by others, says the same of single-item networks; see
tests/benchmarks/stockpyl_oracle.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.domain import Economics, Floats
from models.replenishment.guaranteed_service import Stages, place
from models.replenishment.policies import CappedBaseStock
from models.twin.assembly import run_stages
from models.twin.network import Network
from models.twin.simulator import simulate

SAID = json.loads((Path(__file__).parent / "stockpyl_figures.json").read_text(encoding="utf-8"))


def stages_of(case: dict[str, Any], arcs: list[list[int]], **more: Floats) -> Stages:
    size = len(case["lead_time"])
    usual = {"holding": np.ones(size), "bound": np.zeros(size)}
    return Stages(
        names=[str(k) for k in range(size)],
        arcs=np.array(arcs, dtype=np.int64).reshape(-1, 2),
        lead_time=np.array(case["lead_time"], dtype=float),
        **(usual | {"longest_promise": np.full(size, np.inf)} | more),
    )


@pytest.mark.parametrize("case", SAID["trees"])
def test_safety_stock_in_a_tree_costs_what_stockpyl_says(case: dict[str, Any]) -> None:
    size = len(case["lead_time"])
    promised, variance = np.full(size, np.inf), np.zeros(size)
    for name, deviation in case["deviation"].items():
        variance[int(name)], promised[int(name)] = deviation**2, case["promised"][name]
    shape = stages_of(case, case["arcs"])
    for stage in reversed(shape.order):
        variance[stage] += variance[shape.customers[stage]].sum()
    more = {
        "holding": np.array(case["holding"], dtype=float),
        "bound": np.sqrt(variance),
        "longest_promise": promised,
    }
    assert place(stages_of(case, case["arcs"], **more)).cost == pytest.approx(case["cost"])


@pytest.mark.parametrize("case", SAID["chains"])
def test_a_chain_holds_what_stockpyl_says_in_every_period(case: dict[str, Any]) -> None:
    size, periods = len(case["level"]), len(case["demand"])
    level, demand = np.array(case["level"], dtype=float), np.zeros((size, periods))
    demand[-1] = case["demand"]
    arcs = [[k, k + 1] for k in range(size - 1)]
    ours = run_stages(stages_of(case, arcs), level, demand.T[:, :, None])
    net = ours.on_hand[:, -1, 0] - ours.owed[:, -1, 0]
    assert net.tolist() == pytest.approx(case["net_stock"])
    # the simulator hears of demand a period later: a period less on the way to the last stage
    lead_time = np.array(case["lead_time"])
    lead_time[-1] -= 1
    economics = Economics(*np.ones((3, size)), np.zeros(size), unmet="backlog")
    network = Network(lead_time, economics, np.arange(size) - 1, order_multiple=np.zeros(size))
    policy = CappedBaseStock(level=level[::-1].cumsum()[::-1], cap=np.inf)
    theirs = simulate(network, policy, demand, level)
    net = theirs.on_hand[-1] - theirs.owed[-1]
    assert net.tolist() == pytest.approx(case["net_stock"])
