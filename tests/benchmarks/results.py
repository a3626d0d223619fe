"""Run benchmarks and keep what they print in RESULTS.md: one section a benchmark, with its command,
machine and day.

`python tests/benchmarks/results.py` runs all but `mutants` (`make mutation`) and `soak` (`make
drill-soak`); with names (`line replay`) only these, the other sections stay as they are.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
HEAD = (
    "# Results\n\nMade by `make bench` (`python tests/benchmarks/results.py [NAME …]`); nothing "
    "here is written by hand.\n"
)
#: name: (title, arguments after the interpreter)
BENCHMARKS = {
    "line": ("The whole line on the sample company", ["bench_line.py"]),
    "landing": ("The front door", ["bench_landing.py"]),
    "intake": ("Stream intake", ["bench_intake.py"]),
    "transform": ("Marts", ["bench_transform.py", "tests/worlds/m5", "../shared/data/m5"]),
    "clean-path": (
        "What the defences cost where nothing is wrong",
        [
            *("bench_two_trees.py", "ba2f1ec", "3", "tests/worlds/uci/world.yml"),
            *("../shared/data/uci_online_retail", "tests/worlds/m5/world.yml", "../shared/data/m5"),
        ],
    ),
    "features": ("Point-in-time joins", ["bench_features.py"]),
    **{
        name: (f"Forecasts: {title}", ["bench_forecasting.py", name, "--lstm", steps])
        for name, title, steps in (
            ("m5", "M5", "600"),
            ("vn2", "VN2", "300"),
            ("rossmann", "Rossmann", "300"),
            ("walmart", "Walmart", "300"),
            ("uci", "UCI", "300"),
        )
    },
    "signals": ("What signals are worth", ["bench_forecasting.py", "ablation"]),
    "forecast-speed": ("Speed of forecasting", ["bench_forecasting.py", "speed"]),
    "surges": ("Planted surges", ["bench_surges.py"]),
    "replay": (
        "Replay in money: VN2",
        ["bench_replay.py", "vn2", "--plot", "tests/benchmarks/replay.png"],
    ),
    "replay-favorita": (
        "Replay in money: Favorita",
        ["bench_replay.py", "favorita", "--plot", "tests/benchmarks/replay.png"],
    ),
    "replay-uci": (
        "Replay in money: UCI",
        ["bench_replay.py", "uci", "--plot", "tests/benchmarks/replay.png"],
    ),
    "challengers": ("Challengers in money: VN2", ["bench_replay.py", "challengers"]),
    "replay-speed": ("Speed of plan and replay", ["bench_replay.py", "speed"]),
    "simulator": ("Speed of the simulator beside a plain loop", ["bench_simulator.py"]),
    "placement": ("Safety stock in real supply chains", ["bench_placement.py", "--seconds", "12"]),
    "learning": ("Learned policies against the optimum", ["bench_learning.py"]),
    **{
        f"agent-{name}": (f"The learned agent in money: {title}", ["bench_agent.py", name])
        for name, title in (
            ("vn2", "VN2"),
            ("favorita", "Favorita"),
            ("uci", "UCI"),
            ("sample", "the sample company"),
        )
    },
    "disruptions": ("What being told of disruptions is worth", ["bench_disruptions.py"]),
    "procurement": ("Procurement", ["bench_procurement.py"]),
    "api": ("The API read by scripts", ["bench_api.py", "api"]),
    "desk": ("The desk's pages", ["bench_api.py", "desk"]),
    "publish": (
        "Publish and readers",
        ["bench_publish.py", "--readers", "16", "--publishes", "100", "--rows", "100000"],
    ),
    "growth": ("Cost against size", ["bench_growth.py"]),
    "mutants": ("Mutants", ["bench_mutants.py", "--number", "40", "--seed", "10"]),
    "soak": ("The soak: everything at once, under kills", ["../line/drill_soak.py", "7", "20"]),
}
#: Not among all of them: what needs tools of its own, and its own target.
ALONE = ("mutants", "soak")


def sections() -> dict[str, str]:
    """The sections RESULTS.md has now, by name."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    return {
        name: body
        for name, body in re.findall(
            r"<!-- (\S+) -->\n(.*?)(?=<!-- \S+ -->|\Z)", text, flags=re.DOTALL
        )
    }


def run(name: str) -> str:
    """Run one benchmark and return its section; a failure is written down as one."""
    title, arguments = BENCHMARKS[name]
    script = os.path.normpath(f"tests/benchmarks/{arguments[0]}")
    shown = " ".join(["python", script, *arguments[1:]])
    done = subprocess.run(
        [sys.executable, str(HERE / arguments[0]), *arguments[1:]],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    said = (
        done.stdout.strip()
        if done.returncode == 0
        else f"failed (exit {done.returncode}):\n\n```\n{done.stderr.strip()[-1500:]}\n```"
    )
    body = said if said.lstrip().startswith(("|", "#", "failed")) else f"```\n{said}\n```"
    return f"## {title}\n\n`{shown}` · {machine}\n\n{body}\n\n"


def main(names: list[str]) -> None:
    for name in names or [one for one in BENCHMARKS if one not in ALONE]:
        sys.stderr.write(f"{name} …\n")
        kept = sections() | {name: run(name)}
        ordered = [(key, kept[key]) for key in BENCHMARKS if key in kept]
        RESULTS.write_text(
            HEAD + "\n" + "".join(f"<!-- {key} -->\n{body.rstrip()}\n\n" for key, body in ordered),
            encoding="utf-8",
        )


if __name__ == "__main__":
    main(sys.argv[1:])
