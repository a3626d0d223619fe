"""A home: the folder where one company's lakehouse lives, what in it must never be lost, and the
only door to its warehouse.

state/ is what cannot be made again (delivered bytes, the ledger, the inbox, decisions, what the
gates said) and no command deletes it. derived/ is what `stockhouse rebuild` recreates from it:
warehouse, features, models, published snapshots.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.errors import StockhouseError
from orchestration.home import files

DEFAULT_HOME = ".lakehouse"
#: A DuckDB file begins with three headers of 4,096 bytes; a shorter one was never finished.
FOUNDED = 3 * 4096
#: Seconds between two looks at a warehouse that another process holds.
PAUSE = 0.2


class HomeError(StockhouseError):
    """The home cannot be used as asked; the message says why and how to mend it."""


@dataclass(frozen=True)
class Home:
    """One company's lakehouse on disk."""

    root: Path

    @classmethod
    def open(cls, root: Path, world: str | None = None) -> Home:
        """Open a home that was founded before, if a world is given the home of that world;
        otherwise it is refused, and nothing made."""
        home = cls(root.resolve())
        owner = home.owner
        if owner is None:
            raise HomeError(
                f"{root} belongs to no world yet. Run `stockhouse run WORLD --home {root}` first."
            )
        if world not in (None, owner):
            raise HomeError(
                f"{root} belongs to world '{owner}', not '{world}'. Give this world a home of its "
                "own with --home."
            )
        home._furnish()
        return home

    @classmethod
    def found(cls, root: Path, world: str) -> Home:
        """Open the home of a world, or found it where there is none; a home that belongs to another
        world is refused."""
        home = cls(root.resolve())
        if home.owner is None:
            home._furnish()
            files.write(home.marker, world + "\n")
        return cls.open(root, world)

    def _furnish(self) -> None:
        """Make the folders. What this process writes from here on is its owner's alone from birth
        (0700, 0600): customers, prices."""
        os.umask(0o077)
        for folder in (
            self.archive,
            self.inbox,
            self.decisions,
            self.features,
            self.models,
            self.dagster,
        ):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def marker(self) -> Path:
        """The file that says whose home this is."""
        return self.state / "world"

    @property
    def owner(self) -> str | None:
        """The world this home belongs to, or None where there is no home yet. Raises HomeError
        where the marker says nothing."""
        try:
            owner = self.marker.read_text(encoding="utf-8").strip()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if not owner:
            raise HomeError(
                f"{self.marker}, which says whose home this is, is empty, as a power cut may leave "
                "it. Nothing else is lost: "
                "write the world's name (`world:` in its world.yml) into it, such as `echo NAME > "
                f"{self.marker}`."
            )
        return owner

    @property
    def origin(self) -> tuple[Path, Path] | None:
        """The folder (or file) of the world's contract and the root of its data, as the last run
        read them; None before the first."""
        if not self._origin.exists():
            return None
        said = json.loads(self._origin.read_text(encoding="utf-8"))
        return Path(said["world"]), Path(said["data"])

    def remember(self, world: Path, data: Path | None) -> None:
        """Keep where this home's world lies, so that whatever is started from the home later works
        on the same company."""
        said = {"world": str(world.resolve()), "data": str((data or world).resolve())}
        files.write(self._origin, json.dumps(said))

    @property
    def _origin(self) -> Path:
        return self.state / "origin.json"

    @property
    def state(self) -> Path:
        """What cannot be made again; no command deletes it."""
        return self.root / "state"

    @property
    def derived(self) -> Path:
        """What `stockhouse rebuild` recreates from state."""
        return self.root / "derived"

    @property
    def archive(self) -> Path:
        """Every delivery's bytes as they came, by sha256."""
        return self.state / "archive"

    @property
    def inbox(self) -> Path:
        """What streams and people sent, durable before it is acknowledged; runs take it here."""
        return self.state / "inbox"

    @property
    def decisions(self) -> Path:
        """Forecasts, orders and the like, one Parquet file a run."""
        return self.state / "decisions"

    @property
    def ledger_url(self) -> str:
        """Where orders are kept: PostgreSQL if STOCKHOUSE_LEDGER_URL says so, else SQLite in the
        home."""
        return (
            os.environ.get("STOCKHOUSE_LEDGER_URL") or f"sqlite:///{self.state / 'ledger.sqlite'}"
        )

    @property
    def is_ledger_within(self) -> bool:
        """Whether the ledger lies in this home, rather than on a server."""
        return self.ledger_url == f"sqlite:///{self.state / 'ledger.sqlite'}"

    @property
    def has_ledger(self) -> bool:
        """Whether anything can ever have been proposed; a PostgreSQL ledger is asked itself."""
        return not self.ledger_url.startswith("sqlite") or (self.state / "ledger.sqlite").exists()

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that a run writes; it has one writer at a time."""
        return self.derived / "warehouse.duckdb"

    @property
    def features(self) -> Path:
        """Feast's registry, and the features as served now."""
        return self.derived / "features"

    @property
    def models(self) -> Path:
        """Trained models, each with its card, and the last forecasts whole."""
        return self.derived / "models"

    @property
    def agent(self) -> Path:
        """The agent that was trained for this company and its card: no rebuild trains it again."""
        return self.state / "agent"

    @property
    def published(self) -> Path:
        """The versions that BI, the desk and replans read."""
        return self.derived / "published"

    @property
    def past(self) -> Path:
        """Homes made anew of what this one knew on earlier days."""
        return self.derived / "past"

    @property
    def data_docs(self) -> Path:
        """Great Expectations' pages about the last gates."""
        return self.derived / "data_docs"

    @property
    def gate_results(self) -> Path:
        """What every gate found, run by run."""
        return self.state / "gate_results"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME: the history of runs."""
        return self.derived / "dagster"

    def forget_derived(self) -> None:
        """Delete what can be recreated (all but the run in progress' lock, Dagster's history, and
        what readers see until the next version is published); state is never touched."""
        for path in self.derived.iterdir():
            if path in (self.dagster, self.published) or path.name == "writer.lock":
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def connect(
        self, *, read_only: bool = False, patience: float = 0.0
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """The one way to open the warehouse. The handle is closed on leaving: dbt runs as another
        process and needs the lock.

        patience: seconds to wait for another process that holds it. Raises HomeError where it
        cannot be opened, or is still held then.
        """
        if not read_only and self.warehouse.exists() and self.warehouse.stat().st_size < FOUNDED:
            # a kill or a full disk stopped DuckDB while it wrote its headers: nothing was ever
            # committed
            self.warehouse.unlink()
        con = self._opened(read_only, time.monotonic() + patience)
        try:
            # a Python variable must never read as a table
            con.execute("set python_enable_replacements = false")
            con.execute("set enable_progress_bar = false")  # standard output belongs to the result
            yield con
        except duckdb.CatalogException as error:
            said = str(error).splitlines()[0]
            raise HomeError(
                f"the warehouse of {self.root} lacks what was asked ({said}). Run the line up to "
                "where it is made."
            ) from error
        finally:
            con.close()

    def _opened(self, read_only: bool, until: float) -> duckdb.DuckDBPyConnection:
        while True:
            try:
                return duckdb.connect(str(self.warehouse), read_only=read_only)
            except duckdb.IOException as error:
                said = str(error).splitlines()[0]
                is_held = "lock" in said
                if is_held and time.monotonic() < until:
                    time.sleep(PAUSE)
                    continue
                mend = (
                    "close the other process; BI reads the published snapshot"
                    if is_held
                    else "`stockhouse rebuild` makes it anew"
                )
                raise HomeError(
                    f"the warehouse cannot be opened: {said}. Nothing in state/ is lost: {mend}."
                ) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the home for one run: a second writer is told so at once instead of waiting or
        interleaving."""
        self.derived.mkdir(parents=True, exist_ok=True)
        with (self.derived / "writer.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HomeError(
                    f"another run is writing to {self.root}. Wait for it to end, or use another "
                    "--home."
                ) from error
            yield  # the lock ends with the file handle, also when the process is killed
