"""How fast the twin runs beside a plain NumPy loop of the same case, in one process: `python
tests/benchmarks/bench_simulator.py`.

The plain loop knows one echelon, one lead time, base-stock and lost sales, and nothing else; both
book the same cost. Runs take turns, medians and the ratio are shown.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.domain import Economics, Floats
from models.replenishment.policies import CappedBaseStock
from models.twin.network import Network
from models.twin.simulator import simulate

LEAD, MEAN, HOLDING, SHORTAGE = 2, 4.0, 0.2, 1.0
# of an item: centre 0, regions 1 and 2, and the region of each of six shops
SHOPS = np.array([1, 1, 1, 2, 2, 2])


def plain(demand: Floats, level: Floats, opening: Floats) -> Floats:
    """Base-stock under lost sales, one echelon, as short and as fast as NumPy gets: cost by
    node.
    """
    periods, count = demand.shape
    stock, on_way, cost = opening.copy(), np.zeros(count), np.zeros(count)
    due = np.zeros((LEAD, count))
    for t in range(periods):
        slot = due[t % LEAD]
        stock += slot
        on_way -= slot
        np.maximum(level - stock - on_way, 0.0, out=slot)
        on_way += slot
        sold = np.minimum(stock, demand[t])
        stock -= sold
        cost += HOLDING * stock + SHORTAGE * (demand[t] - sold)
    return cost


def economics(count: int) -> Economics:
    """The same costs at every node."""
    return Economics(
        np.full(count, HOLDING), np.full(count, SHORTAGE), np.ones(count), np.zeros(count)
    )


def single(items: int, periods: int) -> dict[str, Callable[[], Floats]]:
    """The plain loop, the product recording nothing, costs' books and everything, on the same
    demand.
    """
    random = np.random.default_rng(0)
    demand = random.poisson(MEAN, (periods, items)).astype(np.float64)
    level, opening = np.full(items, 16.0), np.full(items, 8.0)
    network, policy = (
        Network(np.full(items, LEAD), economics(items)),
        CappedBaseStock(level=level, cap=np.inf),
    )

    def ours(*books: str) -> Floats:
        return simulate(network, policy, demand.T, opening, record=books).total_cost

    runs = {
        "plain NumPy loop": lambda: plain(demand, level, opening),
        "simulate, totals": ours,
        "simulate, stock and lost sales by period": lambda: ours("on_hand", "lost"),
        "simulate, every book": lambda: simulate(network, policy, demand.T, opening).total_cost,
    }
    costs = [run() for run in runs.values()]
    if any(not np.allclose(cost, costs[0]) for cost in costs):
        raise SystemExit("the plain loop and the product disagree: no speed is worth showing")
    return runs


def three_echelons(items: int, periods: int) -> tuple[int, Callable[[], Floats]]:
    """Each item at a centre, two regions and six shops; echelon base-stock, lead times 4, 2 and 1
    to 2, lost sales.
    """
    random = np.random.default_rng(1)
    first = np.arange(items)[:, None] * 9
    own = np.concatenate([[0, 0, 0], SHOPS])
    sources = np.where(np.arange(9) == 0, -1, first + own).reshape(-1)
    lead = np.array([4, 2, 2, 1, 2, 1, 2, 1, 2])
    means = np.array([0.0, 0.0, 0.0, *([MEAN] * 6)])
    demand = random.poisson(np.tile(means, items), (periods, items * 9)).astype(np.float64)
    # A level covers its own wait, with three deviations, and what those below it are filled up to.
    below, level = means.copy(), np.zeros(9)
    for node in range(8, -1, -1):
        wait = below[node] * (lead[node] + (node > 2))
        level[node] += wait + 3 * np.sqrt(wait)
        if node:
            below[own[node]] += below[node]
            level[own[node]] += level[node]
    level, lead = np.tile(level, items), np.tile(lead, items)
    network = Network(lead, economics(items * 9), sources)
    opening = np.tile([48.0, 24, 24] + [8] * 6, items)
    policy = CappedBaseStock(level=level, cap=np.inf)
    return (
        items * 9 * periods,
        lambda: simulate(network, policy, demand.T, opening, record=()).total_cost,
    )


def many_paths(paths: int, items: int, periods: int, at_once: int = 25) -> tuple[int, float]:
    """Futures of a chain of four nodes an item, with a scenario in each: the third node neither
    gets nor sends anything for ten periods. Node-periods, and CPU seconds.
    """
    random = np.random.default_rng(2)
    size = items * at_once
    first = np.repeat(np.arange(size) * 4, 4)
    above = np.tile(np.arange(4) - 1, size)
    lead = np.tile([3, 2, 2, 1], size)
    network = Network(lead, economics(size * 4), np.where(above < 0, -1, first + above))
    level = np.tile([48.0, 34.0, 24.0, 14.0], size)
    took = np.repeat(lead[:, None], periods, axis=1)
    blocked = slice(periods // 3, periods // 3 + 10)
    took[2::4, blocked] += np.arange(10, 0, -1)
    took[3::4, blocked] += np.arange(10, 0, -1)
    opening = np.tile([14.0, 10.0, 10.0, 14.0], size)
    policy = CappedBaseStock(level=level, cap=np.inf)
    started = time.process_time()
    for _ in range(paths // at_once):
        demand = np.zeros((periods, size * 4))
        demand[:, 3::4] = random.poisson(MEAN, (periods, size))
        simulate(network, policy, demand.T, opening, lead_times=took, record=())
    return paths * items * 4 * periods, time.process_time() - started


def medians(runs: dict[str, Callable[[], Floats]], rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, taken in turns; all run on one thread, so a busy machine changes
    little."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=30_490)
    parser.add_argument("--periods", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    cells = options.items * options.periods
    print(
        f"Base-stock, lost sales, one echelon, {options.items:,} nodes x {options.periods} "
        "periods:\n"
    )
    print("| run | CPU seconds | million node-periods/s | of the plain loop |\n|---|---|---|---|")
    taken = medians(single(options.items, options.periods), options.rounds)
    usual = taken["plain NumPy loop"]
    for name, seconds in taken.items():
        print(f"| {name} | {seconds:.3f} | {cells / seconds / 1e6:.0f} | {usual / seconds:.2f} |")
    deep, run = three_echelons(max(1, options.items // 9), options.periods)
    seconds = medians({"deep": run}, options.rounds)["deep"]
    print(
        f"| simulate, three echelons, echelon base-stock, totals | {seconds:.3f} | "
        f"{deep / seconds / 1e6:.0f} | |"
    )

    nodes, seconds = many_paths(1000, 1000, 90)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    speed = nodes / seconds / 1e6
    print(
        f"| 1,000 futures x 1,000 items x 90 periods x 4 echelons, a hub blocked | {seconds:.1f} | "
        f"{speed:.0f} | peak {most:.1f} GB |"
    )


if __name__ == "__main__":
    main()
