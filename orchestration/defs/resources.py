"""Where things are: the home, the world and the dbt project. The only module that reads the
environment for the graph."""

import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject

from orchestration.app import dbt_project
from orchestration.home import DEFAULT_HOME, Home, HomeError
from orchestration.landing import World

ROOT = Path(__file__).resolve().parents[2]
OWNERS = ["team:stockhouse"]

os.environ.setdefault(
    "STOCKHOUSE_WAREHOUSE", str(ROOT / DEFAULT_HOME / "derived" / "warehouse.duckdb")
)
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


def home_of_the_graph() -> Path:
    """The home a graph speaks of: the one whose run history DAGSTER_HOME names, else
    STOCKHOUSE_HOME, else the default one.

    Raises HomeError where both name a home and mean two, so that no button of one company's graph
    moves another's goods.
    """
    named, shown = (
        os.environ.get("STOCKHOUSE_HOME"),
        Path(os.environ.get("DAGSTER_HOME", "")).resolve(),
    )
    if (shown.parent.name, shown.name) != ("derived", "dagster"):
        return Path(named or DEFAULT_HOME)
    home = shown.parents[1]
    if named and Path(named).resolve() != home:
        raise HomeError(
            f"DAGSTER_HOME shows the runs of {home}, STOCKHOUSE_HOME says {named}: unset one of "
            "them."
        )
    return home


class Lakehouse(dg.ConfigurableResource):
    """One company and its home: where to keep it, which world to read, where its files are, and up
    to which day to look.

    What is left out follows from the home (see `home_of_the_graph`): it knows its world since its
    first run.
    """

    world: str | None = None
    data: str | None = None
    home: str | None = None
    as_of: str | None = None
    # a file that cannot be read stops the run; else it is set aside and the rest lands
    strict: bool = False
    from_archive: bool = False  # rebuild: read state/archive instead of the world's files

    def open_world(self) -> World:
        """The contract of the company this run works on. Raises ContractError where it is wrong."""
        return World.load(self._origin()[0])

    @property
    def data_root(self) -> Path:
        """The folder that the contract's paths start from."""
        return self._origin()[1]

    @property
    def cutoff(self) -> date | None:
        """The day asked for as Now, inclusive; None for the newest fact's."""
        return date.fromisoformat(self.as_of) if self.as_of else None

    def open_home(self) -> Home:
        """The home of that company, made where there is none. Raises HomeError where it is another
        company's."""
        home = Home.found(self._root(), self.open_world().world)
        # read by profiles.yml when dbt starts as its own process
        os.environ["STOCKHOUSE_WAREHOUSE"] = str(home.warehouse)
        return home

    def _root(self) -> Path:
        return Path(self.home) if self.home else home_of_the_graph()

    def _origin(self) -> tuple[Path, Path]:
        """The world's folder and its data's root. Raises HomeError where nobody says and the home
        does not know."""
        world = self.world or os.environ.get("STOCKHOUSE_WORLD")
        if world:
            return Path(world), Path(self.data or os.environ.get("STOCKHOUSE_DATA") or world)
        root = self._root()
        known = Home(root.resolve()).origin
        if known is None:
            raise HomeError(
                f"{root} does not know its world yet. Run `stockhouse run WORLD --home {root}` "
                "once, or set STOCKHOUSE_WORLD."
            )
        if not known[0].exists():
            raise HomeError(
                f"the world of {root} was at {known[0]}, which is gone. Run `stockhouse run WORLD "
                f"--home {root}` with its new place."
            )
        return known[0], Path(self.data) if self.data else known[1]


class StationTranslator(DagsterDbtTranslator):
    """Asset key = schema/table = folder/file; the group is the station's verb."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """schema/table of a dbt model, source or seed."""
        schema = (
            dbt_resource_props["source_name"]
            if dbt_resource_props["resource_type"] == "source"
            else dbt_resource_props["fqn"][1]
        )
        return dg.AssetKey([schema, dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The station that makes a table, by its folder."""
        return {"features": "features", "metrics": "publish"}.get(
            dbt_resource_props["fqn"][1], "transform"
        )

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Who answers for every table."""
        return OWNERS


def prepared_project() -> DbtProject:
    """The dbt project with a manifest as new as its files."""
    dbt_project.parse()
    return DbtProject(
        project_dir=dbt_project.PROJECT,
        profiles_dir=dbt_project.PROJECT,
        target_path=dbt_project.PARSED,
    )


PROJECT = prepared_project()
TRANSLATOR = StationTranslator()


@dg.definitions
def resources() -> dg.Definitions:
    """The lakehouse and dbt, as every step is given them."""
    return dg.Definitions(
        resources={
            "lakehouse": Lakehouse(),
            "dbt": DbtCliResource(
                project_dir=PROJECT,
                dbt_executable=str(dbt_project.COMMAND),
                # dbt's log of every query at debug was a quarter of a small company's build
                global_config_flags=["--log-level-file", "info"],
            ),
        }
    )
