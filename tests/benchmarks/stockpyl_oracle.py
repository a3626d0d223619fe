"""What stockpyl says of random networks: `python -m venv E; E/bin/pip install "numpy<2" stockpyl==1.0.2;
E/bin/python tests/benchmarks/stockpyl_oracle.py` writes tests/twin/stockpyl_figures.json.

stockpyl needs NumPy 1, so it is asked in an environment of its own and its answers are kept.
Trees: the least cost of guaranteed service, with a bound of one standard deviation. Chains: the net
stock of the last stage, period by period, at base-stock levels.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

KEPT = Path(__file__).resolve().parents[1] / "twin" / "stockpyl_figures.json"


def tree(seed: int) -> dict[str, Any]:
    """A random tree of stages; only the last of a branch are asked by customers."""
    random = np.random.default_rng(seed)
    size = int(random.integers(3, 9))
    arcs = []
    for k in range(1, size):
        pair = [int(random.integers(k)), k]
        arcs.append(pair if random.random() < 0.5 else pair[::-1])
    last = [k for k in range(size) if k not in {above for above, _ in arcs}]
    return {
        "arcs": arcs,
        "lead_time": random.integers(1, 6, size).tolist(),
        "holding": random.integers(1, 20, size).tolist(),
        "promised": {k: int(random.integers(0, 3)) for k in last},
        "deviation": {k: round(float(random.uniform(1, 5)), 2) for k in last},
    }


def least_cost(case: dict[str, Any]) -> float:
    """What stockpyl's dynamic program says it costs."""
    from stockpyl.demand_source import DemandSource
    from stockpyl.gsm_tree import optimize_committed_service_times, preprocess_tree
    from stockpyl.supply_chain_network import SupplyChainNetwork
    from stockpyl.supply_chain_node import SupplyChainNode

    network = SupplyChainNetwork()
    for k, lead_time in enumerate(case["lead_time"]):
        node = SupplyChainNode(k + 1, network=network)
        node.processing_time, node.local_holding_cost = lead_time, case["holding"][k]
        node.demand_bound_constant = 1
        if k in case["promised"]:
            node.external_outbound_cst = case["promised"][k]
            node.demand_source = DemandSource(
                type="N", mean=0, standard_deviation=case["deviation"][k]
            )
        if all(below != k for _, below in case["arcs"]):
            node.external_inbound_cst = 0
        network.add_node(node)
    for above, below in case["arcs"]:
        network.add_edge(above + 1, below + 1)
    return float(optimize_committed_service_times(preprocess_tree(network))[1])


def chain(seed: int) -> dict[str, Any]:
    """A random chain, the first stage first."""
    random = np.random.default_rng(seed)
    size = int(random.integers(1, 5))
    return {
        "lead_time": random.integers(1, 4, size).tolist(),
        "level": random.integers(0, 25, size).tolist(),
        "demand": random.poisson(4, 25).tolist(),
    }


def net_stock(case: dict[str, Any]) -> list[float]:
    """What stockpyl's simulation leaves at the last stage, less what is owed there."""
    from stockpyl.sim import simulation
    from stockpyl.supply_chain_network import serial_system

    size = len(case["level"])
    names = list(range(1, size + 1))
    network = serial_system(
        num_nodes=size,
        node_order_in_system=names,
        node_order_in_lists=names,
        local_holding_cost=[1.0] * size,
        stockout_cost=[0.0] * (size - 1) + [9.0],
        shipment_lead_time=case["lead_time"],
        policy_type="BS",
        base_stock_level=case["level"],
        demand_type="D",
        demand_list=case["demand"],
    )
    simulation(network, len(case["demand"]), rand_seed=1, progress_bar=False)
    levels = (state.inventory_level for state in network.nodes_by_index[size].state_vars)
    said = [next(iter(x.values())) if isinstance(x, dict) else x for x in levels]
    return [round(float(x), 9) for x in said[: len(case["demand"])]]


if __name__ == "__main__":
    trees = [{**case, "cost": least_cost(case)} for case in map(tree, range(20))]
    chains = [{**case, "net_stock": net_stock(case)} for case in map(chain, range(8))]
    KEPT.write_text(json.dumps({"stockpyl": "1.0.2", "trees": trees, "chains": chains}) + "\n")
