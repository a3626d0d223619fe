"""Every odd small company, run to its end: `python tests/line/drill_small_worlds.py [NAME...]`; a
minute each on a quiet machine."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from small_world_runs import WORLDS, run_world


def main(wanted: list[str]) -> int:
    """Run the wanted worlds, or all; the exit code is how many are not as expected."""
    wrong = 0
    for name in wanted or WORLDS:
        with tempfile.TemporaryDirectory(prefix="stockhouse-world-") as folder:
            found = run_world(WORLDS[name], Path(folder))
        sys.stdout.write(f"{name}: {'; '.join(found) or 'as expected'}\n")
        wrong += bool(found)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
