"""The dbt project as it is parsed once, for every home."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
#: Where the line's manifest is kept, apart from what dbt's own commands write into `target`, which
#: may be of a trial (`--target dev`): in the project, or for an installation nobody may write to,
#: in the user's cache. Another dbt does not read what this one wrote.
PARSED = (
    PROJECT / "target" / "line"
    if os.access(PROJECT, os.W_OK)
    else Path.home() / ".cache" / "stockhouse" / f"dbt-{version('stockhouse')}"
) / version("dbt-core")
#: dbt as the line starts it.
COMMAND = Path(sys.executable).with_name("stockhouse-dbt")


def parse() -> None:
    """Leave a manifest as new as the project's files in PARSED; several processes may ask at once,
    one parses."""
    PARSED.mkdir(parents=True, exist_ok=True)
    with _locked(fcntl.LOCK_EX):
        if _is_stale():
            places = ("project", "profiles")
            subprocess.run(  # noqa: S603 - our own interpreter and arguments
                [
                    str(Path(sys.executable).with_name("dbt")),
                    *("--quiet", "parse", "--no-partial-parse"),
                    *(f"--{place}-dir={PROJECT}" for place in places),
                    *(f"--{place}-path={PARSED}" for place in ("target", "log")),
                ],
                # a database has its file's name, and every home's warehouse the same
                env=os.environ | {"STOCKHOUSE_WAREHOUSE": "warehouse.duckdb"},
                check=True,
            )


@contextmanager
def _locked(how: int) -> Iterator[None]:
    with (PARSED / "parse.lock").open("w") as lock:
        fcntl.flock(lock, how)
        yield


def _is_stale() -> bool:
    manifest = PARSED / "manifest.json"
    if not manifest.exists():
        return True
    made = manifest.stat().st_mtime
    sources = (
        path
        for kind in ("*.sql", "*.yml", "*.md")
        for path in PROJECT.rglob(kind)
        if "target" not in path.relative_to(PROJECT).parts
    )
    return any(path.stat().st_mtime > made for path in sources)


def parsed() -> bytes:
    """The manifest as dbt wrote it down (msgpack), whole also while another process parses."""
    with _locked(fcntl.LOCK_SH):
        return (PARSED / "partial_parse.msgpack").read_bytes()
