"""What it is worth to be told of disruptions, on the sample company's stress set: `python
tests/benchmarks/bench_disruptions.py`.

The champion cannot see events in force. The rule that is told of them believes a share of each,
chosen on stress sets and futures of other seeds, and both live through the same futures of the set
that `stockhouse run` rehearses. Differences are paired by future, with 95 % of the mean.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from models.domain import Floats  # noqa: E402
from models.replenishment.policies import DEFAULT, DisruptionAware, configured  # noqa: E402
from models.twin.scenarios import Scenario  # noqa: E402
from models.twin.what_if import difference  # noqa: E402
from orchestration.app.scenario_files import parse  # noqa: E402
from orchestration.app.scenarios import read_twin  # noqa: E402
from orchestration.app.twin_state import Twin  # noqa: E402
from orchestration.home import Home  # noqa: E402
from orchestration.landing import World  # noqa: E402

STRESS = ROOT / "sample_data" / "scenarios" / "stress_winter.yml"
#: Shares of an event that are tried, seeds of the sets and number of futures they are tried on.
TRUSTS, SEEDS, TRIED = (0.25, 0.5, 1.0), (1, 2), 6
FUTURES = 30


def stress(twin: Twin, seed: int | None = None) -> Sequence[Scenario]:
    """The stress set's scenarios, or those of another seed."""
    text = STRESS.read_text(encoding="utf-8")
    if seed is not None:
        text = re.sub(r"^seed: \d+", f"seed: {seed}", text, flags=re.MULTILINE)
    return parse(STRESS.name, text.encode(), twin.published.inputs.timeline).scenarios


def costs(
    twin: Twin,
    scenarios: Sequence[Scenario],
    futures: Sequence[int],
    rule: DisruptionAware | None = None,
) -> Floats:
    """Holding and shortage cost by future, (F, 1 + scenarios), money: without any event, then with
    those of each scenario."""
    lived = [twin.lived(number, scenarios, rule) for number in futures]
    return np.array([[float(one.cost.sum()) for one in outcomes] for outcomes in lived])


def main(home: Home) -> None:
    """Choose the share on the sets of other seeds, then compare on the set itself."""
    started = time.perf_counter()
    twin, _, currency = read_twin(home, World.load(ROOT / "sample_data"), FUTURES + TRIED)
    scale = twin.scales.get(DEFAULT)
    rule = replace(DisruptionAware(), scale=configured(DEFAULT, scale).setting("lost"))
    others = [one for seed in SEEDS for one in stress(twin, seed)]
    apart, judged = range(FUTURES, FUTURES + TRIED), range(FUTURES)
    blind = costs(twin, others, apart)
    print(f"Champion: {twin.published.policy.name}, scale {scale}. Chosen on {len(others)}")
    print(f"scenarios of seeds {SEEDS} in {TRIED} futures of their own.\n")
    print("| believed share of an event | cost against the champion's, other stress sets |")
    print("|--:|--:|")
    tried = {}
    for trust in TRUSTS:
        tried[trust] = costs(twin, others, apart, replace(rule, trust=trust)).sum() / blind.sum()
        print(f"| {trust:g} | {tried[trust]:.4f} |")
    trust = min(tried, key=lambda one: tried[one])
    scenarios = stress(twin)
    before = costs(twin, scenarios, judged)
    after = costs(twin, scenarios, judged, replace(rule, trust=trust))
    print(f"\n| scenario of {STRESS.stem} | champion {currency} | told ({trust:g}) | 95 % |")
    print("|---|--:|--:|--:|")
    columns = {name: [k] for k, name in enumerate(["no event", *(one.name for one in scenarios)])}
    columns["all scenarios"] = list(range(1, len(columns)))
    for name, some in columns.items():
        found = difference(before[:, some].mean(axis=1), after[:, some].mean(axis=1))
        print(
            f"| {name} | {found['before']:,.0f} | {found['difference']:+,.0f} "
            f"({found['difference'] / found['before']:+.2%}) | {found['mean_lower']:+,.0f} … "
            f"{found['mean_upper']:+,.0f} |"
        )
    print(f"\n{FUTURES} futures, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="a home of the sample that was run already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        at = options.home or Path(scratch) / "home"
        if options.home is None:
            command = [str(Path(sys.executable).parent / "stockhouse"), "run", "sample_data"]
            subprocess.run([*command, "--home", str(at)], cwd=ROOT, check=True, stdout=sys.stderr)
        main(Home(at))
