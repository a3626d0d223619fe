"""People at the desk: each with a browser of their own that keeps a cookie and fills in forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from orchestration.home import Home
from orchestration.web.application import create_app
from orchestration.web.people import People
from tests.web.browsing import PASSWORD, Browser
from tests.web.small_home import make_home


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed by argon2 here too, only not as long as those of real people."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr("orchestration.web.people._hasher", lambda: quick)


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("desk") / "home").root


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Home:
    """A home of one's own."""
    import shutil

    shutil.copytree(made_home, tmp_path / "home", symlinks=True)
    return Home.open(tmp_path / "home")


@pytest.fixture
def app(home: Home) -> Any:
    return create_app(home)


@pytest.fixture
def come(home: Home, app: Any) -> Callable[..., Browser]:
    """Let a person of a role in; returns their browser, signed in."""

    def come_in(name: str, role: str = "admin") -> Browser:
        secret, browser = People(home).invite(name, role, "the test"), Browser(app)
        browser.get(f"/welcome/{secret}")
        answer = browser.post(f"/welcome/{secret}", name=name, password=PASSWORD)
        assert answer.status_code == 200, answer.text
        return browser

    return come_in
