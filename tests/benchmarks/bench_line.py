"""How long `stockhouse run` takes on the sample company, first and again with nothing new, and how
much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).parent / "stockhouse"


def timed(home: Path) -> tuple[dict[str, Any], float, float]:
    """One run: its report, wall seconds, and the largest process' peak memory in GB."""
    started = time.perf_counter()
    running = subprocess.Popen(
        [str(COMMAND), "run", "sample_data", "--home", str(home), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert running.stdout is not None
    out = running.stdout.read()
    _, status, usage = os.wait4(running.pid, 0)
    if status:
        raise SystemExit(f"stockhouse run failed with status {status}")
    return json.loads(out), time.perf_counter() - started, usage.ru_maxrss / 1024**2


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        for name in ("first", "second, nothing new"):
            report, seconds, peak = timed(home)
            stations = ", ".join(
                f"{station} {spent:.0f}" for station, spent in report["stations"].items()
            )
            rows.append(
                f"| {name} | {seconds:.0f} | {peak:.2f} | {report['new_rows']:,} | "
                f"{report['new_orders']} | {stations} |"
            )
    sys.stdout.write(
        "| run | seconds | peak GB | new rows | new orders | seconds by station "
        "|\n|---|--:|--:|--:|--:|---|\n"
    )
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
