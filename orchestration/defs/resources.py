"""Where things are: the home, the world and the dbt project. The only module that reads the environment for the graph."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject

from orchestration.home import DEFAULT_HOME, Home
from orchestration.landing import World

ROOT = Path(__file__).resolve().parents[2]
DBT = ROOT / "dbt_project"
OWNERS = ["team:stockhouse"]

os.environ.setdefault("STOCKHOUSE_WAREHOUSE", str(ROOT / DEFAULT_HOME / "derived" / "warehouse.duckdb"))
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


class Lakehouse(dg.ConfigurableResource):
    """One company and its home: which world to read, where its files are, where to keep it, and up to which day to look."""

    world: str = os.environ.get("STOCKHOUSE_WORLD", str(ROOT / "sample_data"))
    data: str | None = os.environ.get("STOCKHOUSE_DATA")
    home: str = os.environ.get("STOCKHOUSE_HOME", str(ROOT / DEFAULT_HOME))
    as_of: str | None = None
    from_archive: bool = False  # rebuild: read state/archive instead of the world's files

    def open_world(self) -> World:
        return World.load(Path(self.world))

    @property
    def data_root(self) -> Path:
        return Path(self.data or self.world)

    @property
    def cutoff(self) -> date | None:
        return date.fromisoformat(self.as_of) if self.as_of else None

    def open_home(self) -> Home:
        home = Home.found(Path(self.home), self.open_world().world)
        os.environ["STOCKHOUSE_WAREHOUSE"] = str(home.warehouse)  # read by profiles.yml when dbt starts as its own process
        return home


class StationTranslator(DagsterDbtTranslator):
    """Asset key = schema/table = folder/file; the group is the station's verb."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        schema = dbt_resource_props["source_name"] if dbt_resource_props["resource_type"] == "source" else dbt_resource_props["fqn"][1]
        return dg.AssetKey([schema, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return {"features": "features", "metrics": "publish"}.get(dbt_resource_props["fqn"][1], "transform")

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS


def _manifest_is_stale() -> bool:
    manifest = DBT / "target" / "manifest.json"
    if not manifest.exists():
        return True
    made = manifest.stat().st_mtime
    sources = (path for kind in ("*.sql", "*.yml", "*.md") for path in DBT.rglob(kind) if "target" not in path.relative_to(DBT).parts)
    return any(path.stat().st_mtime > made for path in sources)


def prepared_project() -> DbtProject:
    """The dbt project with a manifest as new as its files; several processes may ask at once, one parses."""
    project = DbtProject(project_dir=DBT, profiles_dir=DBT)
    (DBT / "target").mkdir(exist_ok=True)
    with (DBT / "target" / "parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _manifest_is_stale():
            subprocess.run(  # noqa: S603 - our own interpreter and arguments
                [
                    str(Path(sys.executable).parent / "dbt"),
                    "--quiet",
                    "parse",
                    "--no-partial-parse",
                    "--project-dir",
                    str(DBT),
                    "--profiles-dir",
                    str(DBT),
                ],
                check=True,
            )
    return project


PROJECT = prepared_project()
TRANSLATOR = StationTranslator()


@dg.definitions
def resources() -> dg.Definitions:
    return dg.Definitions(
        resources={
            "lakehouse": Lakehouse(),
            "dbt": DbtCliResource(project_dir=PROJECT, dbt_executable=str(Path(sys.executable).parent / "dbt")),
        }
    )
