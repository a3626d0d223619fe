"""Laws of the test run itself: where services are promised, a service test that skips has
failed."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

# Homes are compared by table hashes, and each home without this would hash its customers with a key
# of its own.
os.environ.setdefault("STOCKHOUSE_PRIVACY_KEY", "the same customers in every home of the tests")
# as orchestration/__init__.py has it, for tests that import models alone
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("FEAST_USAGE", "False")

# how long a law takes says how busy the machine is
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if (
        report.skipped
        and item.get_closest_marker("service")
        and os.environ.get("STOCKHOUSE_SERVICES_REQUIRED")
        and not (item.get_closest_marker("shared") and not SHARED.is_dir())
    ):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} skipped although services are required here: {report.longrepr}"
        )
    return report


#: Homes that several modules share, by the fixture that makes them.
SHARED_HOMES = {"sample_run": "line", "built": "features"}


def _made_once(item: pytest.Item) -> str:
    """Where a test runs: beside all others of what is made once for them, its home or its
    module."""
    used = getattr(item, "fixturenames", ())
    return next((SHARED_HOMES[name] for name in used if name in SHARED_HOMES), item.path.stem)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_made_once(item)))
    if SHARED.is_dir():
        return
    absent = pytest.mark.skip(
        reason="the public data sets (../shared/data) are not beside this checkout"
    )
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(absent)


def pytest_collection_finish(session: pytest.Session) -> None:
    if getattr(session.config.option, "loadgroup", False) and any(
        "@" not in item.nodeid for item in session.items
    ):
        raise pytest.UsageError("xdist groups no tests with this pytest: every home is made twice")
