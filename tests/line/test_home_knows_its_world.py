"""Whatever is started from a home works on that home's own company, or refuses; it never turns to
another one's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration.defs.automation import deliveries
from orchestration.defs.resources import ROOT, Lakehouse
from orchestration.home import Home, HomeError
from orchestration.runs.line import instance_of

CONTRACT = """
world: {name}
currency: EUR
plan: {{grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 1 day
    into: [sales: {{item_id: article, location_id: shop, event_at: day, quantity: pieces}}]
"""


def company(folder: Path, name: str) -> Path:
    (folder / "till").mkdir(parents=True)
    (folder / "world.yml").write_text(CONTRACT.format(name=name), encoding="utf-8")
    sell(folder, "monday", f"{name},main,2024-01-01,3")
    return folder


def sell(folder: Path, file: str, row: str) -> None:
    (folder / "till" / f"{file}.csv").write_text(
        f"article,shop,day,pieces\n{row}\n", encoding="utf-8"
    )


def items(home: Path) -> set[str]:
    with duckdb.connect(str(home / "derived/warehouse.duckdb"), read_only=True) as con:
        return {
            item for (item,) in con.execute("select distinct item_id from raw.sales").fetchall()
        }


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two companies, each with a home that knows it."""
    for name in ("STOCKHOUSE_WORLD", "STOCKHOUSE_DATA", "STOCKHOUSE_HOME", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)
    found = {}
    for name in ("north", "south"):
        home = Home.found(tmp_path / f"home-{name}", name)
        home.remember(company(tmp_path / name, name), None)
        found[name] = home.root
    return found


def test_the_graph_of_a_home_lands_the_company_it_was_first_run_for_by_button_and_sensor(
    homes: dict[str, Path],
    tmp_path: Path,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orchestration.definitions import defs

    home = tmp_path / "home-east"
    command("run", company(tmp_path / "east", "east"), "--home", home, "--until", "land", "--json")
    monkeypatch.setenv("DAGSTER_HOME", str(home / "derived/dagster"))
    sell(tmp_path / "east", "tuesday", "new,main,2024-01-02,1")
    elsewhere = {path: path.stat().st_mtime_ns for path in (ROOT / ".lakehouse").rglob("*")}
    with instance_of(Home(home)) as instance:
        done = defs().resolve_job_def("until_land").execute_in_process(instance=instance)
        context = dg.build_sensor_context(instance=instance)
        asked = deliveries(context, lakehouse=Lakehouse())  # type: ignore[call-arg,call-overload]
        assert "nothing new" in str(list(asked))  # type: ignore[call-overload]
    assert done.success
    assert items(home) == {"east", "new"}
    assert not (homes["north"] / "derived/warehouse.duckdb").exists()
    assert {path: path.stat().st_mtime_ns for path in (ROOT / ".lakehouse").rglob("*")} == elsewhere


def test_a_home_that_does_not_know_its_world_or_whose_world_is_gone_refuses(
    homes: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "new/derived/dagster"))
    with pytest.raises(HomeError, match="does not know its world yet"):
        Lakehouse().open_home()
    assert not (tmp_path / "new").exists(), "a refusal leaves nothing behind"
    monkeypatch.setenv("DAGSTER_HOME", str(homes["north"] / "derived/dagster"))
    (tmp_path / "north").rename(tmp_path / "moved")
    with pytest.raises(HomeError, match="which is gone"):
        Lakehouse().open_home()


def test_two_homes_named_at_once_are_refused(
    homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(homes["north"] / "derived/dagster"))
    monkeypatch.setenv("STOCKHOUSE_HOME", str(homes["south"]))
    with pytest.raises(HomeError, match="unset one of them"):
        Lakehouse().open_home()
    monkeypatch.setenv("STOCKHOUSE_HOME", str(homes["north"]))
    assert Lakehouse().open_home().root == homes["north"]


def test_the_data_s_own_root_is_remembered_too(
    homes: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Home(homes["south"]).remember(tmp_path / "south", tmp_path / "north")
    monkeypatch.setenv("DAGSTER_HOME", str(homes["south"] / "derived/dagster"))
    assert Lakehouse().data_root == (tmp_path / "north").resolve()
    assert Lakehouse().open_world().world == "south"


def test_no_dialog_opens_before_the_graph_and_nothing_leaves_the_machine(tmp_path: Path) -> None:
    with instance_of(Home.found(tmp_path / "home", "north")) as instance:
        assert not instance.nux_enabled
        assert not instance.telemetry_enabled
