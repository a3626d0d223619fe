"""Sign-in by the company's identity provider: whom it vouches for comes in, as what the environment
says, and nobody by a token that is not its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from orchestration.home import Home
from orchestration.web.application import create_app
from orchestration.web.people import People, PeopleError
from orchestration.web.single_sign_on import Forms, Provider, SignOnError
from tests.web.browsing import HERE, PASSWORD, Browser
from tests.web.oidc_provider import IdentityProvider

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        provider.people = {
            "Anna": {"preferred_username": "Anna", "groups": ["buyers", "cn=heads"]},
            "Vera": {"preferred_username": "vera", "groups": ["visitors"]},
        }
        yield provider


@pytest.fixture
def desk(home: Home, idp: IdentityProvider) -> Any:
    return create_app(home, provider=Provider.named(idp.environment()))


def begin(browser: Browser, to: str = "/orders") -> dict[str, str]:
    """Go to the provider; what the desk asked it."""
    answer = browser.client.get(f"/sign-in/elsewhere?next={to}", follow_redirects=False)
    assert answer.status_code == 302, answer.text
    httpx.get(answer.headers["location"]).raise_for_status()
    return {name: values[0] for name, values in _query(answer.headers["location"]).items()}


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def come_back(browser: Browser, idp: IdentityProvider, name: str) -> httpx.Response:
    """Say yes as somebody and follow the provider back to the desk."""
    to = idp.allow(name, idp.asked[-1]).removeprefix(HERE)
    return browser.client.get(to)


def test_whom_the_provider_vouches_for_comes_in_as_the_highest_of_their_groups(
    desk: Any, home: Home, idp: IdentityProvider
) -> None:
    browser = Browser(desk)
    asked = begin(browser)
    assert asked["redirect_uri"] == f"{HERE}/sign-in/answer" and "openid" in asked["scope"]
    assert len(asked["state"]) >= 20 and len(asked["nonce"]) >= 20 and asked["code_challenge"]
    page = come_back(browser, idp, "Anna")
    assert page.status_code == 200 and page.url.path == "/orders" and "Approve" in page.text
    known = People(home).get("anna")
    assert known is not None and (known.role, known.secret) == ("approver", "")
    begin(again := Browser(desk))
    idp.people["Anna"]["groups"] = ["buyers"]
    assert come_back(again, idp, "Anna").status_code == 200
    assert People(home).all()["anna"].role == "planner"
    assert browser.client.get("/orders", follow_redirects=False).status_code == 303, "signed out"
    content = People(home).path.read_text()
    assert content.count('"vouched"') == 1 and idp.issuer in content


def test_without_a_group_that_has_a_role_nobody_comes_in(
    desk: Any, home: Home, idp: IdentityProvider
) -> None:
    browser = Browser(desk)
    begin(browser)
    refused = come_back(browser, idp, "Vera")
    assert refused.status_code == 403 and "no group that may come in" in refused.text
    assert "vera" not in People(home).all()
    idp.people["Vera"] |= {"role": "admin", "roles": ["admin"], "groups": "admin"}
    begin(browser)
    assert come_back(browser, idp, "Vera").status_code == 403, "a role is nobody's own word"


LIES: list[tuple[str, dict[str, Any]]] = [
    ("another nonce", {"nonce": "of another visit"}),
    ("another desk's", {"aud": "payroll"}),
    ("for several, by another", {"aud": ["desk", "payroll"], "azp": "payroll"}),
    ("another issuer", {"iss": "https://evil.example"}),
    ("over", {"exp": int(time.time()) - 3600}),
    ("nobody", {"sub": None}),
    ("no name", {"preferred_username": " "}),
]


@pytest.mark.parametrize(("what", "lie"), LIES, ids=[what for what, _ in LIES])
def test_a_token_that_is_not_for_this_visit_lets_nobody_in(
    desk: Any, home: Home, idp: IdentityProvider, what: str, lie: dict[str, Any]
) -> None:
    browser, idp.lies = Browser(desk), lie
    begin(browser)
    refused = come_back(browser, idp, "Anna")
    assert refused.status_code == 403 and 'role="alert"' in refused.text, what
    assert "anna" not in People(home).all()
    assert browser.client.get("/", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("how", ["none", "HS256", "forged"])
def test_a_token_that_the_provider_did_not_sign_lets_nobody_in(
    desk: Any, home: Home, idp: IdentityProvider, how: str
) -> None:
    browser = Browser(desk)
    begin(browser)
    idp.is_forged, idp.algorithm = how == "forged", "RS256" if how == "forged" else how
    refused = come_back(browser, idp, "Anna")
    assert refused.status_code == 403 and "does not hold" in refused.text
    assert "anna" not in People(home).all()


def test_an_answer_that_this_browser_did_not_ask_for_lets_nobody_in(
    desk: Any, home: Home, idp: IdentityProvider
) -> None:
    begin(Browser(desk))
    stolen = come_back(Browser(desk), idp, "Anna")  # a link somebody was sent
    assert stolen.status_code == 403 and "anna" not in People(home).all()
    browser = Browser(desk)
    begin(browser)
    used = idp.allow("Anna", idp.asked[-1]).removeprefix(HERE)
    assert browser.client.get(used).status_code == 200
    begin(browser)
    assert browser.client.get(used).status_code == 403, "a code is of one use"
    odd = browser.client.get("/sign-in/answer?error=access_denied&error_description=<b>no")
    assert odd.status_code == 403 and "<b>no" not in odd.text and "&lt;b&gt;no" in odd.text


def test_a_name_that_is_anothers_is_given_by_an_admin_alone(
    desk: Any, home: Home, idp: IdentityProvider
) -> None:
    people = People(home)
    people.enrol(people.invite("anna", "admin", "x"), "", PASSWORD)
    people.enrol(people.invite("otto", "admin", "x"), "", PASSWORD)
    browser = Browser(desk)
    begin(browser)
    refused = come_back(browser, idp, "Anna")
    assert refused.status_code == 403 and "comes in another way" in refused.text
    assert people.check("anna", PASSWORD) is not None
    people.invite("anna", "admin", "otto")
    begin(browser)
    assert come_back(browser, idp, "Anna").status_code == 200
    assert people.check("anna", PASSWORD) is None, "one way in"
    assert people.all()["anna"].role == "approver", "the provider's groups say which"
    people.close("anna", "otto")
    begin(browser)
    closed = come_back(browser, idp, "Anna")
    assert closed.status_code == 403 and "let in no more" in closed.text
    idp.people["Eve"] = {"preferred_username": "аnna", "groups": ["buyers"], "sub": "eve"}
    begin(browser)
    assert come_back(browser, idp, "Eve").status_code == 403, "a name that looks like another's"
    with pytest.raises(PeopleError, match="another way"):
        people.arrive("another subject", "anna", "viewer")


def test_the_form_that_an_ended_session_cut_off_is_shown_again(
    desk: Any, home: Home, idp: IdentityProvider
) -> None:
    browser = Browser(desk)
    begin(browser)
    come_back(browser, idp, "Anna")
    browser.get("/limits")
    People(home).sign_out("anna")
    cut = browser.post("/limits/switch", to="stop", reason="prices <i>look</i> odd")
    assert cut.status_code == 401 and "company’s account" in cut.text
    link = cut.text.split('href="/sign-in/elsewhere?')[1].split('"')[0].replace("&amp;", "&")
    answer = browser.client.get(f"/sign-in/elsewhere?{link}", follow_redirects=False)
    httpx.get(answer.headers["location"])
    browser.page = come_back(browser, idp, "Anna")
    assert "What you had typed" in browser.page.text
    assert "prices &lt;i&gt;look" in browser.page.text
    done = browser.post("/limits/switch", to="stop", reason="prices look odd")
    assert done.status_code == 200 and "Stopped" in done.text
    forms = Forms()
    assert forms.keep({"reason": ["x" * 100_000]}, "/") == "" == forms.keep({}, "/")
    assert forms.take("none") == ({}, "")


def test_a_provider_that_does_not_answer_is_said_and_passwords_still_work(
    home: Home, idp: IdentityProvider
) -> None:
    away = idp.environment(issuer="http://127.0.0.1:9")
    browser = Browser(create_app(home, provider=Provider.named(away)))
    refused = browser.get("/sign-in/elsewhere")
    assert refused.status_code == 403 and "does not answer" in refused.text
    assert "Password" in refused.text
    other = idp.environment(issuer=f"{idp.issuer}/")
    refused = Browser(create_app(home, provider=Provider.named(other))).get("/sign-in/elsewhere")
    assert refused.status_code == 403 and "calls itself" in refused.text
    plain = Browser(create_app(home))
    assert plain.get("/sign-in/elsewhere").status_code == 404
    assert "company’s account" not in plain.get("/sign-in").text


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"issuer": "http://idp.example"}, "https"),
        ({"issuer": ""}, "https"),
        ({"client_id": ""}, "CLIENT_ID"),
        ({"roles": ""}, "no group"),
        ({"roles": "buyers=boss"}, "no role 'boss'"),
        ({"scopes": "profile"}, "openid"),
        ({"colour": "red"}, "COLOUR means nothing"),
    ],
)
def test_a_provider_that_is_half_described_opens_no_desk(
    idp: IdentityProvider, said: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Provider.named(idp.environment(**said))


def test_an_address_is_a_name_once_it_is_verified(idp: IdentityProvider) -> None:
    provider = Provider.named(idp.environment(name_claim="email"))
    assert provider is not None and Provider.named({}) is None
    claims = {"sub": "1", "email": "anna@shop.example", "groups": ["buyers"]}
    with pytest.raises(SignOnError, match="not verified"):
        provider.vouched(claims)
    who = provider.vouched(claims | {"email_verified": True})
    assert (who.name, who.role) == ("anna@shop.example", "planner")
    assert "only desk" not in repr(provider)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_signs_in_at_the_provider_and_comes_back(
    home: Home, idp: IdentityProvider
) -> None:
    from playwright.sync_api import sync_playwright

    from tests.web.serving import Served

    served = Served(home.root, idp.environment(title="Acme"))
    served.start()
    try:
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = chromium.new_page(base_url=served.url)
            page.goto("/results")
            if pictures := os.environ.get("STOCKHOUSE_SCREENSHOTS"):
                page.screenshot(path=f"{pictures}/sign-in-elsewhere.png")
            page.get_by_role("link", name="Sign in with Acme").click()
            page.get_by_role("link", name="Anna").click()
            page.get_by_role("heading", name="Results").wait_for()
            assert page.locator(".who b").inner_text() == "anna"
            chromium.close()
    finally:
        served.kill()
