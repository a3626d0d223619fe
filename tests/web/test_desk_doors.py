"""Who gets in, and what no request gets past."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from typing import Any

import pytest

from orchestration.home import Home
from orchestration.web.application import create_app
from orchestration.web.people import People, PeopleError
from orchestration.web.serve import Address
from tests.web.browsing import HERE, PASSWORD, Browser
from tests.web.small_home import make_home

PAGES = (
    "/",
    "/exceptions",
    "/orders",
    "/items",
    "/items/mug",
    "/items/mug?place=SHOP",
    "/overrides",
    "/limits",
    "/scenarios",
    "/scenarios/a",
    "/scenarios/calibration",
    "/suppliers",
    "/results",
    "/audit",
    "/audit?check=1&all=1",
    "/audit/worth",
)
REPORT = "/scenarios/a/report.html"


def test_no_page_is_shown_to_whom_nobody_let_in(app: Any) -> None:
    for path in (*PAGES, "/people", "/orders.csv", "/exceptions.csv", REPORT):
        answer = Browser(app).client.get(path, follow_redirects=False)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/sign-in"), path
    assert Browser(app).get("/api/v1/orders").status_code == 401


def test_every_page_opens_for_a_viewer_and_offers_no_decision(come: Any) -> None:
    viewer = come("vera", "viewer")
    for path in (*PAGES, f"/orders/{_first_line(viewer)}"):
        page = viewer.get(path)
        assert page.status_code == 200, (path, page.text[-500:])
        for action in ("/decide", 'action="/people', 'value="approve"', 'action="/overrides'):
            assert action not in page.text, (path, action)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "style=" not in page.text and "<script>" not in page.text, path
    assert viewer.get("/people").status_code == 403


def test_a_report_is_a_stranger_to_the_desk_and_comes_to_whom_somebody_let_in(come: Any) -> None:
    page = come("vera", "viewer").get(REPORT)
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200 and "<svg " in page.text
    assert "sandbox allow-scripts" in policy and "script-src 'sha256-" in policy
    assert "default-src 'none'" in policy and "connect-src" not in policy
    assert come("otto", "viewer").get("/scenarios/b/report.html").status_code == 404


def _first_line(browser: Browser) -> str:
    return str(browser.get("/api/v1/orders").json()["rows"][0]["document_id"])


def test_the_first_link_works_once_and_passwords_are_kept_as_hashes_only(home: Home) -> None:
    people, app = People(home), create_app(home)
    secret = people.first_link()
    assert secret
    first = Browser(app)
    first.get(f"/welcome/{secret}")
    assert first.post(f"/welcome/{secret}", name="Anna", password=PASSWORD).status_code == 200
    assert people.first_link() is None
    again = Browser(app)
    assert again.get(f"/welcome/{secret}").status_code == 410
    again.get("/sign-in")
    assert again.post(f"/welcome/{secret}", name="eve", password=PASSWORD).status_code == 422
    content = people.path.read_text()
    assert PASSWORD not in content and secret not in content and "$argon2id$" in content
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o600


def test_a_name_that_looks_like_anothers_is_refused(home: Home) -> None:
    people = People(home)
    people.enrol(people.invite("Anna Smith", "admin", "x"), "", PASSWORD)
    with pytest.raises(ValueError, match="looks like anna smith"):
        people.invite(
            "\u0410nna Smith".replace("\u0410", "\uff21") + "\u200b ", "viewer", "x"
        ) and (people.invite("anna sm1th", "viewer", "x"))
    with pytest.raises(PeopleError, match="only admin"):
        people.close("anna smith", "x")


def test_wrong_passwords_are_counted_and_a_name_nobody_has_reads_the_same(
    come: Any, app: Any
) -> None:
    come("anna")
    said = set()
    for name in ("anna", "nobody"):
        browser = Browser(app)
        browser.get("/sign-in")
        answer = browser.post("/sign-in", name=name, password="wrong")
        assert answer.status_code == 401
        said.add("Name or password is wrong" in answer.text)
    assert said == {True}
    browser = Browser(app)
    browser.get("/sign-in")
    codes = [browser.post("/sign-in", name="anna", password="x").status_code for _ in range(6)]
    assert codes[-1] == 429
    assert browser.post("/sign-in", name="anna", password=PASSWORD).status_code == 429


def test_a_form_without_its_token_or_from_elsewhere_does_nothing(come: Any, home: Home) -> None:
    anna = come("anna")
    anna.get("/limits")
    fields = {"reason": "x", "to": "stop"}
    assert anna.client.post("/limits/switch", data=fields).status_code == 403
    token = anna.hidden("token")[0]
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = anna.client.post("/limits/switch", data=fields | {"token": token}, headers=foreign)
    assert answer.status_code == 403
    assert "Nothing is sent until" not in anna.get("/limits").text


def test_signing_out_ends_every_session_and_a_form_sent_after_it_keeps_what_was_typed(
    come: Any, home: Home
) -> None:
    anna = come("anna")
    line = _first_line(anna)
    anna.get(f"/orders/{line}")
    People(home).sign_out("anna")
    typed = "because <script>alert(1)</script> the mug is late"
    answer = anna.post(f"/orders/{line}/decide", to="reject", reason=typed)
    assert answer.status_code == 401
    assert "&lt;script&gt;" in answer.text and "<script>alert" not in answer.text
    anna.page = answer
    kept = {name: anna.hidden(f"kept.{name}") for name in ("to", "reason", "seen")}
    action = anna.hidden("action")[0]
    fields: dict[str, Any] = {f"kept.{name}": values for name, values in kept.items()}
    inside = anna.post(
        "/sign-in", name="anna", password=PASSWORD, action=action, next="/orders", seen=[], **fields
    )
    assert inside.status_code == 200 and "&lt;script&gt;" in inside.text
    anna.page = inside
    done = anna.post(action, to="reject", reason=typed)
    assert done.status_code == 200 and "Rejected" in done.text


def test_ten_megabytes_of_text_are_refused_and_a_long_reason_is_kept_on_the_page(come: Any) -> None:
    anna = come("anna")
    line = _first_line(anna)
    anna.get(f"/orders/{line}")
    huge = anna.post(f"/orders/{line}/decide", to="reject", reason="x" * 10_000_000)
    assert huge.status_code == 413
    long = anna.post(f"/orders/{line}/decide", to="reject", reason="y" * 3_000)
    assert long.status_code == 422 and "y" * 3_000 in long.text and "2000" in long.text


def test_a_home_with_nothing_published_says_what_to_do(tmp_path: Any) -> None:
    home = make_home(tmp_path / "young", is_published=False)
    people = People(home)
    secret, browser = people.invite("anna", "admin", "x"), Browser(create_app(home))
    browser.get(f"/welcome/{secret}")
    browser.post(f"/welcome/{secret}", name="anna", password=PASSWORD)
    page = browser.get("/")
    assert page.status_code == 503 and "stockhouse run" in page.text


def test_a_locked_ledger_is_said_and_what_was_typed_stays(
    come: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.web.open_sources.PATIENCE", 0.2)
    anna = come("anna")
    line = _first_line(anna)
    anna.get(f"/orders/{line}")
    with sqlite3.connect(home.state / "ledger.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = anna.post(f"/orders/{line}/decide", to="reject", reason="too much of it")
        other.execute("ROLLBACK")
    assert answer.status_code == 422 and "locked" in answer.text
    assert "too much of it" in answer.text
    assert anna.post(f"/orders/{line}/decide", to="reject", reason="too much").status_code == 200


def test_an_address_others_can_reach_needs_tls(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="in the clear"):
        Address(host="0.0.0.0").check()
    Address(proxied_as="desk.example").check()
    assert Address(proxied_as="desk.example").url == "https://desk.example"


def test_another_host_name_is_not_answered(app: Any) -> None:
    answer = Browser(app).client.get("/sign-in", headers={"host": "evil.example"})
    assert answer.status_code == 400


def test_the_welcome_page_takes_no_weak_password(come: Callable[..., Browser], home: Home) -> None:
    people = People(home)
    secret, browser = people.invite("bert", "viewer", "x"), come("anna")
    browser.get(f"/welcome/{secret}")
    answer = browser.post(f"/welcome/{secret}", name="bert", password="short")
    assert answer.status_code == 422 and "12" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_a_method_an_address_does_not_take_is_answered_with_those_it_takes(
    come: Callable[..., Browser], method: str
) -> None:
    browser = come("ada", "admin")
    for path in ("/api/v1/state", "/api/v1/orders", "/api/v1/items/mug", "/audit"):
        answer = browser.client.request(method, path, headers={"origin": HERE})
        assert answer.status_code == 405, path
        assert answer.headers["allow"] == "GET", path
