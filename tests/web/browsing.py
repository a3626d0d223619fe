"""A person's browser at the desk, without JavaScript."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import httpx
from starlette.testclient import TestClient

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
