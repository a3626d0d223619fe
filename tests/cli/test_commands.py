"""Every command, found by looking: a home that is not there, or has seen no data yet, is told of in
one line and left as it is."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from orchestration import errors
from orchestration.cli import app
from orchestration.cli.shell import result_alone
from orchestration.errors import StockhouseError, translate
from orchestration.home import Home, HomeError

WORLD = """
world: tiny
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 0 days
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""
#: What a required value of a command is; a new one that has no kind of its own belongs here.
VALUES = {"kind": "demand_factor", "as_of": "2024-01-31", "start": "2024-01-01"}
#: These found the home of a world that says what it is; the others never do.
FOUNDING = {"run", "pull", "receive", "forecast", "replay"}
#: These run until they are stopped.
ENDLESS = {"receive", "serve-features", "desk"}


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        yield from (
            _commands(command, (*path, name))
            if hasattr(command, "commands")
            else [((*path, name), command)]
        )


COMMANDS = dict(_commands(typer.main.get_command(app)))
AT_HOME = [
    path
    for path, command in COMMANDS.items()
    if any("--home" in parameter.opts for parameter in command.params)
]


def words(path: tuple[str, ...], folder: Path, home: Path, world: Path) -> list[str]:
    """A command with every value that it requires, and nothing else."""
    said = list(path)
    hints = get_type_hints(inspect.unwrap(COMMANDS[path].callback))
    for parameter in COMMANDS[path].params:
        if not parameter.required and parameter.name not in ("world", "home"):
            continue
        kind = {Path: str(folder / "absent"), float: "1.5", int: "1"}.get(
            hints[parameter.name], "x"
        )
        value = {**VALUES, "world": str(world), "home": str(home)}.get(parameter.name, kind)
        said += [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    return said


@pytest.fixture
def world(tmp_path: Path) -> Path:
    folder = tmp_path / "world"
    (folder / "till").mkdir(parents=True)
    (folder / "world.yml").write_text(WORLD, encoding="utf-8")
    return folder


def told(path: tuple[str, ...], *places: Path) -> str:
    """What a command says where it is refused: one line on standard error, nothing on standard
    output, exit code 2."""
    done = CliRunner().invoke(app, words(path, *places))
    assert done.exit_code == 2, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "path", [path for path in AT_HOME if path[0] not in FOUNDING], ids=" ".join
)
def test_a_command_on_a_home_that_is_not_there_says_so_in_one_line_and_makes_nothing(
    path: tuple[str, ...], tmp_path: Path, world: Path
) -> None:
    home = tmp_path / "nowhere" / "home"
    before = sorted(tmp_path.rglob("*"))
    message = told(path, tmp_path, home, world)
    assert str(home) in message or "no backup at" in message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", AT_HOME, ids=" ".join)
def test_no_command_founds_a_home_for_a_world_that_cannot_be_read(
    path: tuple[str, ...], tmp_path: Path, world: Path
) -> None:
    (world / "world.yml").write_text(
        WORLD.replace("quantity: pieces", "quantity:"), encoding="utf-8"
    )
    before = sorted(tmp_path.rglob("*"))
    told(path, tmp_path, tmp_path / "nowhere" / "home", world)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "path",
    [path for path in AT_HOME if path[-1] not in ENDLESS | FOUNDING | {"rebuild"}],
    ids=" ".join,
)
def test_no_command_on_a_home_that_has_seen_no_data_ends_in_a_traceback(
    path: tuple[str, ...], tmp_path: Path, world: Path
) -> None:
    Home.found(tmp_path / "home", "tiny")
    done = CliRunner().invoke(app, words(path, tmp_path, tmp_path / "home", world))
    assert done.exception is None or isinstance(done.exception, SystemExit), (
        done.output,
        done.exception,
    )
    assert done.exit_code in (0, 2), done.output


@pytest.mark.parametrize("path", AT_HOME, ids=" ".join)
def test_a_marker_that_a_power_cut_emptied_is_told_of_with_its_cure(
    path: tuple[str, ...], tmp_path: Path, world: Path
) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    home.marker.write_text("", encoding="utf-8")
    if path == ("restore",):
        pytest.skip("a home that has a state folder is never restored into")
    if path == ("receive",):
        (world / "world.yml").write_text(
            WORLD.replace("path: till/*.csv", "stream: {webhook: '${X}'}"), encoding="utf-8"
        )
    message = told(path, tmp_path, tmp_path / "home", world)
    assert str(home.marker) in message
    assert "echo" in message
    home.marker.write_text("tiny", encoding="utf-8")
    assert Home.open(tmp_path / "home").owner == "tiny"


def test_a_refused_command_leaves_room_for_a_backup(tmp_path: Path, world: Path) -> None:
    home = Home.found(tmp_path / "home", "tiny")
    (home.archive / "kept").write_text("bytes", encoding="utf-8")
    run = CliRunner().invoke
    assert run(app, ["backup", str(tmp_path / "b.tar.gz"), "--home", str(home.root)]).exit_code == 0
    assert run(app, ["publish", str(world), "--home", str(tmp_path / "new")]).exit_code == 2
    done = run(
        app, ["restore", str(tmp_path / "b.tar.gz"), "--home", str(tmp_path / "new"), "--json"]
    )
    assert json.loads(done.stdout) == {"world": "tiny", "home": str(tmp_path / "new")}
    assert (tmp_path / "new" / "state" / "archive" / "kept").read_text(encoding="utf-8") == "bytes"


def test_what_is_no_backup_is_refused_and_makes_no_home(tmp_path: Path) -> None:
    import tarfile

    (tmp_path / "torn.tar.gz").write_bytes(b"\x1f\x8b nonsense")
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as archive:
        archive.add(__file__, arcname="a file")
    for name in ("torn", "other"):
        done = CliRunner().invoke(
            app, ["restore", str(tmp_path / f"{name}.tar.gz"), "--home", str(tmp_path / "home")]
        )
        assert (done.exit_code, "cannot be restored" in done.stderr) == (2, True)
        assert not (tmp_path / "home" / "state").exists()


def test_a_home_belongs_to_one_world(tmp_path: Path) -> None:
    Home.found(tmp_path, "tiny")
    for refuse in (Home.open, Home.found):
        with pytest.raises(HomeError, match="belongs to world 'tiny', not 'other'"):
            refuse(tmp_path, "other")


def test_the_version_is_told() -> None:
    done = CliRunner().invoke(app, ["--version"])
    assert done.stdout.startswith("stockhouse ")
    assert done.exit_code == 0


def test_every_command_and_group_is_listed_under_what_it_is_for() -> None:
    listed = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert all(one.rich_help_panel for one in listed.values() if not one.hidden)
    assert not any("\n" in (one.short_help or "") for one in COMMANDS.values())


def test_a_draft_for_a_machine_is_the_draft_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("article,shop,day,pieces\nA,main,2024-01-01,3\n")
    asked = ["check", "--suggest", str(tmp_path / "sales.csv")]
    shown = CliRunner().invoke(app, asked).stdout
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert told == {"contract": shown} and "world: " in shown


@pytest.mark.parametrize(
    "path", [path for path in COMMANDS if path[0] not in ENDLESS], ids=" ".join
)
def test_what_a_command_prints_a_machine_can_read_too(path: tuple[str, ...]) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[path].params)


def _below(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def test_every_error_of_ours_has_one_root_and_an_exit_code() -> None:
    """Each class named an error anywhere in the platform is below the root, or is ValueError of the
    pure models."""
    from orchestration.definitions import defs  # with it every room has been imported

    defs()
    ours = {
        kind
        for kind in _below(Exception)
        if kind.__module__.startswith("orchestration.")
        and not kind.__name__.startswith("_")
        and kind is not StockhouseError
    }
    assert len(ours) > 5
    assert all(issubclass(kind, StockhouseError) for kind in ours), ours
    assert {kind.exit_code for kind in ours} <= {errors.INPUT, errors.REFUSED}


def test_only_a_defect_of_ours_has_no_translation() -> None:
    assert translate(ValueError("no date")) == errors.ErrorReport("error", "no date", 2)
    assert translate(HomeError("no home")) == errors.ErrorReport("error", "no home", 2)
    disk = translate(OSError(28, "No space left on device"))
    assert disk is not None and disk.exit_code == 1
    assert translate(BrokenPipeError()) is None
    absent = translate(ModuleNotFoundError("No module named 'jax'", name="jax"))
    assert absent == errors.ErrorReport(
        "error", "this needs the package jax: pip install 'stockhouse[neural]'", 2
    )
    assert translate(ModuleNotFoundError("No module named 'ours'", name="ours")) is None
    assert translate(AttributeError("x")) is None
    assert "orchestration.cli.main" in sys.modules


DATED = [
    (path, parameter)
    for path, command in COMMANDS.items()
    for parameter in command.params
    if parameter.metavar == "DATE"
]


@pytest.mark.parametrize(("path", "option"), DATED, ids=str)
@pytest.mark.parametrize("text", ["13/01/2026", "2026-02-30", "tomorrow"])
def test_a_day_that_is_none_is_refused_by_the_name_of_its_option_before_anything_begins(
    path: tuple[str, ...], option: Any, text: str, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    world.mkdir()
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    typed = words(path, tmp_path, tmp_path / "home", world)
    if option.opts[0] in typed:
        where = typed.index(option.opts[0])
        del typed[where : where + 2]
    done = CliRunner().invoke(app, [*typed, option.opts[0], text])
    assert done.exit_code == 2
    assert text in done.output and option.opts[0] in done.output
    assert not (tmp_path / "home").exists()


def test_what_a_library_writes_while_it_works_is_no_part_of_the_result(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with result_alone():
        os.write(1, b"a solver's own words\n")
    os.write(1, b"the result\n")
    assert capfd.readouterr() == ("the result\n", "a solver's own words\n")
