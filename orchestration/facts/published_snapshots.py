"""What is published, as its readers find it: the version that stands now, and those before it.

    published/
      current -> versions/000012      switched by one rename
      current.json                    the same, for those who cannot follow a link
      versions/000012/stockhouse.duckdb, snapshot.json, parquet/marts/fct_demand.parquet ...

`orchestration/app/publishing.py` writes it, and says what it holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from orchestration.errors import StockhouseError

#: What every plan writes anew, though it may have nothing to say; the other decisions stand until
#: they are renewed.
PLANNED = (
    "order_lines",
    "explanations",
    "targets",
    "limits",
    "alternatives",
    "overrides",
    "exceptions",
)
FILE = "stockhouse.duckdb"
#: DuckDB draws a progress bar on standard output, where `--json` prints its result alone.
QUIET = "set enable_progress_bar = false"


class PublishError(StockhouseError):
    """The snapshot could not be made or found; what readers see is unchanged."""


@dataclass(frozen=True)
class Snapshot:
    """One published version: its file, the run whose plan it shows, how many rows each table has,
    and a fingerprint of what each says."""

    version: int
    run_id: str
    published_at: str
    folder: Path
    tables: dict[str, int]
    fingerprints: dict[str, str]

    @property
    def path(self) -> Path:
        """The DuckDB file that BI opens, read-only."""
        return self.folder / FILE

    @property
    def parquet(self) -> Path:
        """The folder with the same tables, one Parquet file each."""
        return self.folder / "parquet"

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Read this version; another may be published meanwhile, this connection keeps its own.

        Raises PublishError for a table or a column that is not there: an earlier Stockhouse
        published it.
        """
        with duckdb.connect(str(self.path), read_only=True) as con:
            con.execute(QUIET)
            try:
                yield con
            except (duckdb.BinderException, duckdb.CatalogException) as error:
                raise PublishError(
                    f"what run {self.run_id} published lacks what is read here "
                    f"({str(error).partition(chr(10))[0]}): an earlier version of Stockhouse made "
                    "it. `stockhouse run` publishes anew."
                ) from error


def current(target: Path) -> Snapshot:
    """The version readers see now. Raises PublishError before the first one."""
    link = target / "current"
    if not link.is_symlink():
        raise PublishError(f"Nothing is published in {target} yet. Run `stockhouse run` first.")
    return _described(link.resolve())


def kept(target: Path) -> list[Snapshot]:
    """Every version that is still there, oldest first."""
    folders = (target / "versions" / f"{number:06d}" for number in sorted(versions(target)))
    return [_described(folder) for folder in folders]


def _described(folder: Path) -> Snapshot:
    content = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
    return Snapshot(
        content["version"],
        content["run_id"],
        content["published_at"],
        folder,
        content["tables"],
        content.get("fingerprints", {}),
    )


def versions(target: Path) -> list[int]:
    """The numbers of the versions that are there, in no order."""
    return [int(folder.name) for folder in (target / "versions").iterdir() if folder.name.isdigit()]
