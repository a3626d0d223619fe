"""The state of an earlier day for the twin to start from: what the line would have known, forecast
and rehearsed at that day's end.

state/archive -> a home of its own under derived/past -> the line as of that day, without ledger.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
from contextlib import redirect_stdout
from datetime import date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from orchestration.app import publishing
from orchestration.facts import published_snapshots
from orchestration.facts.timeline import midnight
from orchestration.home import Home, files
from orchestration.landing import World
from orchestration.landing.load.store import read_receipts
from orchestration.runs.line import Step, run_line, settings
from orchestration.runs.recompute import share_state

#: Earlier days that stay made; of a company of any size each takes as much room as its home.
KEPT = 3


def state_at(
    home: Home, folder: Path, day: date, on_step: Step | None = None
) -> tuple[Home, str | None]:
    """The home and the run (None for its newest) whose published state is that of a day's end in
    local time: a version that was published then and is kept, else one made anew from the archive.

    Made anew it knows what had arrived by then and nothing else: its forecast, champion, terms and
    trust are those of that day. It stays under `derived/past` until the archive or the contract
    changes. folder: where the world's contract lies. Raises ValueError for a day that is not over
    yet, PublishError before the first run, and LineStopped where the line of that day stops.
    """
    world = World.load(folder)
    cutoff = midnight_ending(day, world.timezone)
    published = {_now(one): one.run_id for one in published_snapshots.kept(home.published)}
    newest = _now(published_snapshots.current(home.published))
    if cutoff in published:
        return home, published[cutoff]
    if newest < cutoff <= newest + timedelta(days=1):  # that day is the newest that is known
        return home, None
    if cutoff > newest:
        raise ValueError(
            f"--as-of {day}: nothing is known of that day's end; what is published reaches "
            f"{newest:%Y-%m-%d %H:%M} UTC"
        )
    return _made(home, folder, world, day, on_step), None


def _made(home: Home, folder: Path, world: World, day: date, on_step: Step | None) -> Home:
    """The home of an earlier day, made unless it stands already."""
    home.past.mkdir(parents=True, exist_ok=True)
    with (home.past / "past.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who asks for the same day meanwhile waits for it
        root = home.past / f"{day}-{_known(home, folder)}"
        if (root / "is_made").exists():
            return Home.open(root, world.world)
        for other in sorted(home.past.glob("*-*"), key=lambda path: path.stat().st_mtime_ns):
            if not (other / "is_made").exists() or other.name.startswith(str(day)):
                shutil.rmtree(other)  # begun and never finished, or of what was known before
        for oldest in sorted(home.past.glob("*-*"), key=_made_at)[: -KEPT + 1]:
            shutil.rmtree(oldest)
        place = Home.found(root, world.world)
        share_state(home, place, len(read_receipts(home.archive)))
        asked = settings(folder, None, place.root, day.isoformat())
        with (place.derived / "run.log").open("w", encoding="utf-8") as log, redirect_stdout(log):
            run = run_line(place, asked, "past", on_step=on_step)
        publishing.write_snapshot(place.warehouse, place.published, run.dagster_run_id)
        files.write(root / "is_made", f"{day}\n")
        return place


def _made_at(root: Path) -> int:
    return (root / "is_made").stat().st_mtime_ns


def _known(home: Home, folder: Path) -> str:
    """What an earlier day is made of, in short: the deliveries, the contract, the code."""
    contract = folder / "world.yml" if folder.is_dir() else folder
    said = [receipt.sha256 for receipt in read_receipts(home.archive)]
    parts = [version("stockhouse"), contract.read_text("utf-8-sig"), *said]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def midnight_ending(day: date, timezone: str) -> datetime:
    """The local midnight that ends a day, UTC without zone."""
    return midnight(day + timedelta(days=1), timezone).replace(tzinfo=None)


def _now(snapshot: published_snapshots.Snapshot) -> datetime:
    with snapshot.connect() as con:
        now: datetime = con.execute("select now_at from published.world").fetchall()[0][0]
    return now
