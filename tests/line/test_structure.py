"""The shape of the house: who imports whom, what is in the graph, what a fresh checkout looks
like."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from draw_graph import KEYS, PICTURE, keys_of, picture_of

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[str]:
    return subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()


def test_imports_point_only_the_way_the_plan_says() -> None:
    found = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


@pytest.fixture(scope="module")
def graph() -> dg.Definitions:
    from orchestration.definitions import defs

    return defs()


def test_the_graph_holds_exactly_the_known_assets(graph: dg.Definitions) -> None:
    """A loose asset that vanishes, or one nobody decided on, shows here. To accept a change:
    `python tests/line/draw_graph.py`."""
    assert keys_of(graph) == KEYS.read_text(encoding="utf-8")


def test_the_picture_of_the_graph_is_the_graph_s(graph: dg.Definitions) -> None:
    """Every group with how many assets it has and what it reads, and the README names them all."""
    drawn, page = PICTURE.read_text(encoding="utf-8"), (ROOT / "README.md").read_text("utf-8")
    assert drawn == picture_of(graph)
    told = re.search(r"!\[The groups of Dagster's asset graph: (.*)\]\(.github/graph.svg\)", page)
    assets = graph.resolve_asset_graph()
    groups = {assets.get(key).group_name for key in assets.get_all_asset_keys()}
    assert told and set(told[1].split(", ")) == groups


def test_every_asset_has_a_group_a_description_and_an_owner(graph: dg.Definitions) -> None:
    assets = graph.resolve_asset_graph()
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        assert node.group_name != "default", key
        assert node.description, key
        assert node.owners, key


def test_every_job_can_be_resolved_and_the_daily_one_is_scheduled(graph: dg.Definitions) -> None:
    names = {job.name for job in graph.resolve_all_job_defs()}
    assert {"daily", "until_land", "until_facts", "until_rebuild"} <= names
    assert graph.get_schedule_def("every_morning").job_name == "daily"


def test_the_top_level_is_the_one_the_plan_fixes() -> None:
    allowed = {
        "pyproject.toml",
        "README.md",
        "Makefile",
        "LICENSE",
        "dbt_project",
        "feature_repo",
        "orchestration",
        "models",
        "tests",
        "sample_data",
        "requirements.lock",
        "requirements-dev.lock",
        "requirements-spark.lock",
        "requirements-tryton.lock",
        "requirements-mutation.lock",
        "requirements-ppo.lock",
    }
    assert {name.split("/")[0] for name in tracked() if not name.startswith(".")} <= allowed


def test_no_machine_path_and_no_index_host_is_in_the_repository() -> None:
    hosts = ("pypi.org", "files.pythonhosted", "registry.npmjs")
    for name in tracked():
        path = ROOT / name
        if (
            not path.is_file()
            or path.suffix in {".xlsx", ".gz", ".parquet", ".png", ".csv"}
            or name.startswith("sample_data/erp")
        ):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert str(ROOT) not in text, name
        assert not any(host in text for host in hosts) or name == "tests/line/test_structure.py", (
            name
        )


#: A migration lists the tables of its day; it has no parts and never changes.
LISTS = {"upgrade"}
PAGE = 60


def test_every_function_fits_a_page() -> None:
    """Sixty lines, its signature and its docstring aside."""
    long = []
    for name in tracked():
        if not name.endswith(".py") or not name.startswith(("models/", "orchestration/", "feat")):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in LISTS:
                docstring = len((ast.get_docstring(node) or "").splitlines())
                lines = (node.end_lineno or 0) - node.body[0].lineno + 1 - docstring
                long += [f"{name}:{node.name} has {lines}"] if lines > PAGE else []
    assert not long


def test_every_room_says_what_it_is_in_ten_lines_and_names_what_is_there() -> None:
    rooms = {Path(name).parent for name in tracked() if name.endswith("/__init__.py")}
    rooms = {room for room in rooms if room.parent.name in ("models", "orchestration")}
    theirs, wrong = {"world.yml", "state/", "derived/"}, []  # a company's, not the checkout's
    for room in sorted(rooms):
        page = ROOT / room / "README.md"
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        wrong += [] if 5 <= len(text.splitlines()) <= 10 else [f"{room} has no page of ten lines"]
        for name in re.findall(r"`([\w.*/]+(?:\.\w+|/))`", text):
            is_there = any([*ROOT.glob(name), *(ROOT / room).glob(name)])
            wrong += [] if is_there or name in theirs else [f"{room} has no {name}"]
    assert rooms and not wrong


def test_rooms_of_tests_are_no_packages() -> None:
    """Only the folder of them all is one, so that another library's `tests` does not win."""
    packages = [name for name in tracked() if re.fullmatch(r"tests/(.*/)?__init__\.py", name)]
    assert packages == ["tests/__init__.py"]
