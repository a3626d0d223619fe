"""What the learned agent costs on real companies, by the product's own path: `python
tests/benchmarks/bench_agent.py vn2 favorita uci sample`.

The windows are those of bench_replay.py; of the sample company, the one that `stockhouse run`
rehearses, before which history is too short for one that tunes. Before each the agent is trained by what `stockhouse learn
--before` calls, on reviews whose demand was known by then, and is replayed beside the rule that
decides (with the scale that the window before tuned) and the rules it has to beat. Nothing is
chosen on a scored window. Differences are paired, with a 95 % bootstrap over items.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench_replay import CASES, OURS, Case, keys_of, pool  # noqa: E402
from public_homes import home_with_features  # noqa: E402

from models.forecasting.forecast import Forecast  # noqa: E402
from models.twin.policy_comparison import paired_difference  # noqa: E402
from orchestration.app.company_agent import learn_company  # noqa: E402
from orchestration.facts.kept_agents import AGENT  # noqa: E402
from orchestration.home import Home  # noqa: E402
from orchestration.planning.demand import open_demand  # noqa: E402
from orchestration.planning.rehearsal import rehearsed_window, replay_world  # noqa: E402
from orchestration.planning.replay import Replay  # noqa: E402

SEEDS = (0, 1)
#: The rules the agent is held against in each case, the one to beat first.
AGAINST = {
    "vn2": ("moving_average_cover",),
    "favorita": ("newsvendor", "base_stock"),
    "uci": ("eoq_reorder_point_fractile",),
    "sample": ("eoq_reorder_point", "newsvendor"),
}


@dataclass(frozen=True)
class Window:
    """One window's replay and the card of the agent that was trained for it."""

    start: date
    made: Replay
    card: dict[str, Any]


def sample_case(home: Home) -> Case:
    """The sample company and the window it rehearses. Raises ValueError where there is none."""
    window = rehearsed_window(home, open_demand(home))
    if window is None:
        raise ValueError("the sample is too short to rehearse")
    start, periods = window
    return Case(
        title="The sample company",
        world="sample",
        data=lambda scratch: scratch,
        starts=[start],
        earlier=start,
        orders=-(-periods // open_demand(home).timeline.review),
        periods=periods,
        warm=0,
    )


def sample_home(scratch: Path) -> Home:
    """A home of the sample company up to its features, as `stockhouse run` makes it."""
    target = scratch / "home"
    command = [str(Path(sys.executable).parent / "stockhouse"), "run", "sample_data"]
    command += ["--home", str(target), "--until", "features"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return Home(target)


def windows(name: str, case: Case, home: Home) -> list[Window]:
    """Every scored window: the agent trained until it begins, then replayed."""
    found, settings = list[Window](), dict[str, float]()
    forecasts: dict[date, Forecast] = {}
    tuned = (OURS, *(policy for policy in AGAINST[name] if policy == "base_stock"))
    for start in dict.fromkeys((case.earlier, *case.starts)):
        is_scored, card = start in case.starts, dict[str, Any]()
        if is_scored:
            card = learn_company(
                home, case.world, SEEDS, None, _quiet, before=start, forecasts=forecasts
            )
        made = replay_world(
            home,
            start,
            case.periods,
            orders=case.orders,
            policies=(OURS, *AGAINST[name], AGENT) if is_scored else tuned,
            settings=settings,
            is_tuned=True,
        )
        settings = made.settings
        if is_scored:
            found.append(Window(start, made, card))
            costs = {rule: run.cost[:, case.warm :].sum() for rule, run in made.results.items()}
            said = ", ".join(f"{rule} {cost:,.0f}" for rule, cost in costs.items())
            _tell(f"{case.title} {start}: {said}; scale {card['scale']:.2f}, next {settings}")
    return found


def show(name: str, case: Case, found: Sequence[Window], seconds: float) -> None:
    """The table of every policy over all windows, and of each window."""
    made = [one.made for one in found]
    names = (AGENT, OURS, *AGAINST[name])
    pooled = {rule: pool(made, rule, case.warm) for rule in names}
    blocks = keys_of(made)["item_id"].rank("dense").to_numpy()
    print(f"\n### {case.title}: {len(made)} windows, {case.orders} orders each\n")
    print("| policy | cost | the agent's cost against it | 95 % interval | fill rate |")
    print("|---|--:|--:|--:|--:|")
    for rule in names:
        one = paired_difference(AGENT, rule, pooled[AGENT], pooled[rule], blocks=blocks)
        service = sum(run.results[rule].fill_rate for run in made) / len(made)
        ratio = "" if rule == AGENT else f"{one.ratio:.3f}"
        between = "" if rule == AGENT else f"{one.ratio_lower:.3f} … {one.ratio_upper:.3f}"
        cost = pooled[rule].sum()
        print(f"| {rule} | {cost:,.1f} | {ratio} | {between} | {service:.1%} |")
    print("\n| window starts | agent / " + " | agent / ".join(names[1:]), end=" ")
    print("| reviews learned from | scale | net saves | seed | CPU s |")
    print("|---" * (len(names) + 5) + "|")
    for one in found:
        costs = {rule: one.made.results[rule].cost[:, case.warm :].sum() for rule in names}
        ratios = " | ".join(f"{costs[AGENT] / costs[rule]:.3f}" for rule in names[1:])
        card = one.card
        saved = 1 - card["cost"] / card["structured_cost"]
        print(
            f"| {one.start} | {ratios} | {card['reviews']} | {card['scale']:.2f} | "
            f"{saved:+.1%} | {card['seed']} | {card['seconds']:.0f} |"
        )
    print(f"\n{seconds:.0f} s, seeds {', '.join(map(str, SEEDS))}", flush=True)


def compare(name: str, home: Home | None = None) -> None:
    """Run one case and print it."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if name == "sample":
            there = home or sample_home(folder)
            case = sample_case(there)
        else:
            case = CASES[name]
            there = home or home_with_features(case.world, case.data(folder), folder)
        show(name, case, windows(name, case, there), time.perf_counter() - started)


def _quiet(_: str) -> None:
    """Nobody listens."""


def _tell(said: str) -> None:
    sys.stderr.write(said + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="+", choices=list(AGAINST))
    for chosen in parser.parse_args().cases:
        compare(chosen)
