"""Homes of the public worlds, made by the product's own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestration.home import Home

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"


def home_with_features(world: str, data: Path, scratch: Path) -> Home:
    """The home of a world under tests/worlds with its features, as `stockhouse run` makes it."""
    target = scratch / "home"
    command = [
        str(Path(sys.executable).parent / "stockhouse"),
        *("run", f"tests/worlds/{world}", "--data", str(data)),
        *("--home", str(target), "--until", "features"),
    ]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return Home(target)
