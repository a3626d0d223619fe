"""People at the desk: each with a browser of their own that keeps a cookie and fills in forms."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

sys.path.append(str(Path(__file__).parent))  # small_home, beside the tests that stand in it

from small_home import make_home
from starlette.testclient import TestClient

from orchestration.home import Home
from orchestration.web.application import create_app
from orchestration.web.people import People

PASSWORD = "a sentence nobody guesses"
HERE = "http://127.0.0.1:8321"


class Browser:
    """One person's browser, without JavaScript: pages by GET, forms by POST with their hidden
    fields."""

    def __init__(self, app: Any) -> None:
        self.client = TestClient(app, base_url=HERE)
        self.page = httpx.Response(200)

    def get(self, path: str) -> httpx.Response:
        self.page = self.client.get(path)
        return self.page

    def hidden(self, name: str) -> list[str]:
        """The values of a hidden field on the page that is open."""
        return [unescape(v) for v in re.findall(rf'name="{name}" value="([^"]*)"', self.page.text)]

    def post(self, path: str, **fields: Any) -> httpx.Response:
        """Send a form of the open page; the page stays open, as under a second tab."""
        usual = {"token": self.hidden("token")[:1], "intent": self.hidden("intent")[:1]}
        seen = {"seen": fields.pop("seen", self.hidden("seen"))}
        return self.client.post(path, data=usual | seen | fields)


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
