"""Every public world under tests/worlds, from its extracts to orders by the product's own command:
`python tests/line/drill_public_worlds.py [WORLD...]`; minutes each, M5 the longest."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared/data"
#: World to its data set, the smaller ones first.
WORLDS = {
    "supplygraph": "supplygraph",
    "scms": "scms",
    "walmart": "walmart_weekly",
    "vn2": "vn2_history",
    "favorita": "favorita_weekly",
    "uci_weekly": "uci_online_retail",
    "uci": "uci_online_retail",
    "rossmann": "rossmann",
    "m5": "m5",
}


def _stockhouse(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "stockhouse"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def run_world(world: str, home: Path) -> tuple[int, str]:
    """The order lines that a run of the world comes to, and what it said where it stopped."""
    folder = ROOT / "tests/worlds" / world
    done = _stockhouse("run", folder, "--data", DATA / WORLDS[world], "--home", home)
    if done.returncode:
        return 0, (done.stderr.strip() or done.stdout.strip())[-600:]
    listed = _stockhouse("orders", "--home", home, "--json")
    return len(json.loads(listed.stdout)["orders"]), listed.stderr.strip()[-600:]


def main(wanted: list[str]) -> int:
    """Run the wanted worlds, or all; the exit code is how many came to no order."""
    wrong = 0
    for world in wanted or WORLDS:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="stockhouse-world-") as folder:
            orders, said = run_world(world, Path(folder) / "home")
        took = f"{time.monotonic() - begun:.0f} s"
        sys.stdout.write(f"{world}: {orders} order lines, {took}{f': {said}' if said else ''}\n")
        sys.stdout.flush()
        wrong += not orders
    return wrong


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
