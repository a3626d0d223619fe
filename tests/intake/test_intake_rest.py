"""An API is pulled whole through its failures: slow down, break, repeat, mislead; a real server on
loopback says it all."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestration.intake import pull
from orchestration.intake.options import server as server_of
from orchestration.landing import ContractError

Answer = tuple[int, dict[str, str], bytes]


class Api:
    """A server whose answers a test decides; it remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[str, dict[str, str]], Answer] = lambda path, query: (404, {}, b"")
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                api.asked.append(
                    (parts.path, {**query, "authorization": self.headers.get("Authorization", "")})
                )
                status, headers, body = api.answer(parts.path, query)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def api() -> Iterator[Api]:
    found = Api()
    yield found
    found.server.shutdown()
    found.server.server_close()


def rows(ids: range) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "item": "apple",
            "store": "north",
            "day": "2024-03-01",
            "qty": 1,
            "changed": f"2024-03-01T{i:02d}:00:00",
        }
        for i in ids
    ]


def said(content: Any, **headers: str) -> Answer:
    return 200, headers, json.dumps(content).encode()


def fed(api: Api, **more: Any) -> dict[str, Any]:
    return {"url": {"get": f"{api.url}/sales", "wait_seconds": 0.01, "timeout_seconds": 2, **more}}


def _numbered(path: str, query: dict[str, str]) -> Answer:
    at = int(query["page"]) - 1
    return said({"data": {"items": rows(range(at * 4, min(10, at * 4 + 4)))}})


def _linked(path: str, query: dict[str, str]) -> Answer:
    at = int(query.get("from", "0"))
    return said(
        {"items": rows(range(at, at + 5)), "next": f"/sales?from={at + 5}" if at < 5 else None}
    )


def _headed(path: str, query: dict[str, str]) -> Answer:
    at = int(query.get("from", "0"))
    return said(
        rows(range(at, at + 5)),
        **({"Link": f'</sales?from={at + 5}>; rel="next"'} if at < 5 else {}),
    )


def _cursored(path: str, query: dict[str, str]) -> Answer:
    at = int(query.get("after", "0"))
    return said({"items": rows(range(at, at + 5)), "meta": {"next": str(at + 5) if at < 5 else ""}})


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        (
            _numbered,
            {"records": "data.items", "page": {"number": "page", "size": "per_page", "rows": 4}},
        ),
        (_linked, {"records": "items", "page": {"next": "next"}}),
        (_headed, {"page": {"next": "link"}}),
        (_cursored, {"records": "items", "page": {"cursor": "meta.next", "param": "after"}}),
    ],
    ids=["number", "next", "link header", "cursor"],
)
def test_every_way_of_paging_brings_every_row_once(
    shop: Any, api: Api, answer: Any, options: dict[str, Any]
) -> None:
    api.answer = answer
    world = shop.world(**fed(api, **options))
    assert len(pull(world, shop.inbox)) == len(api.asked)
    assert shop.landed(world) == (10, 10.0)
    assert pull(world, shop.inbox) == []  # the same pages again are no new delivery


def test_too_many_requests_and_broken_answers_are_waited_out(shop: Any, api: Api) -> None:
    trouble: list[Answer] = [(429, {"Retry-After": "1"}, b""), (500, {}, b"oops"), (503, {}, b"")]
    api.answer = lambda path, query: trouble.pop(0) if trouble else said(rows(range(3)))
    world = shop.world(**fed(api))
    began = time.monotonic()
    pull(world, shop.inbox)
    assert time.monotonic() - began >= 1  # Retry-After was honoured, not the shorter back-off
    assert len(api.asked) == 4
    assert shop.landed(world) == (3, 3.0)


def test_patience_ends_and_says_so(shop: Any, api: Api) -> None:
    api.answer = lambda path, query: (502, {}, b"")
    with pytest.raises(ContractError, match="no answer after 3 attempts: HTTP 502"):
        pull(shop.world(**fed(api, attempts=3)), shop.inbox)
    assert len(api.asked) == 3


def test_a_refusal_is_not_asked_again(shop: Any, api: Api) -> None:
    api.answer = lambda path, query: (403, {}, b"")
    with pytest.raises(ContractError, match="HTTP 403"):
        pull(shop.world(**fed(api)), shop.inbox)
    assert len(api.asked) == 1


def test_an_answer_cut_short_is_asked_for_again(shop: Any, api: Api) -> None:
    whole = said(rows(range(3)))
    cut = [(200, {"Content-Length": str(len(whole[2]) + 50)}, whole[2])]
    api.answer = lambda path, query: cut.pop() if cut else whole
    world = shop.world(**fed(api, timeout_seconds=0.5))
    pull(world, shop.inbox)
    assert shop.landed(world) == (3, 3.0)


def test_a_page_served_twice_lands_once(shop: Any, api: Api) -> None:
    # rows shift between pages while we read
    served = [rows(range(4)), rows(range(4)), rows(range(2, 6)), []]
    api.answer = lambda path, query: said(served[int(query["page"]) - 1])
    world = shop.world(**fed(api, page={"number": "page"}))
    pull(world, shop.inbox)
    assert shop.landed(world) == (6, 6.0)


@pytest.mark.parametrize(
    ("answer", "options", "why"),
    [
        (
            lambda path, query: said(rows(range(3))),
            {"page": {"number": "page"}},
            "the same page 3 times",
        ),
        (
            lambda path, query: said({"items": rows(range(3)), "next": "/sales"}),
            {"records": "items", "page": {"next": "next"}},
            "leads back",
        ),
        (
            lambda path, query: said({"items": [], "next": "http://localhost:9/steal"}),
            {"records": "items", "page": {"next": "next"}},
            "lies on another server",
        ),
        (
            lambda path, query: said({"items": 3}),
            {"records": "items"},
            "no list of objects at `items`",
        ),
        (lambda path, query: (200, {}, b"<html>"), {}, "is no JSON"),
        (lambda path, query: (200, {}, b'[{"id": NaN}]'), {}, "NaN is not JSON"),
        (lambda path, query: (200, {}, b"[" * 100_000), {}, "is no JSON"),
        (lambda path, query: said(rows(range(23))), {"most_bytes": 1000}, "more than 1,000 bytes"),
        (
            lambda path, query: (
                200,
                {"Content-Encoding": "gzip"},
                gzip.compress(b" " * 3_000_000),
            ),
            {"most_bytes": 100_000},
            "more than 100,000 bytes",
        ),
        (lambda path, query: (302, {"Location": "http://localhost:9/"}, b""), {}, "HTTP 302"),
    ],
    ids=[
        "no paging",
        "circle",
        "other server",
        "no list",
        "html",
        "nan",
        "deep",
        "large",
        "gzip bomb",
        "redirect",
    ],
)
def test_an_api_that_misleads_is_told_so(
    shop: Any, api: Api, answer: Any, options: dict[str, Any], why: str
) -> None:
    api.answer = answer
    with pytest.raises(ContractError, match=why):
        pull(shop.world(**fed(api, **options)), shop.inbox)


def test_since_asks_only_for_what_changed_and_moves_after_the_last_page(
    shop: Any, api: Api
) -> None:
    def changed(path: str, query: dict[str, str]) -> Answer:
        at = int(query["page"])
        found = [row for row in rows(range(have[0])) if row["changed"] >= query.get("from", "")]
        return (500, {}, b"") if at > works_to[0] else said(found[(at - 1) * 2 : at * 2])

    have, works_to = [4], [1]
    api.answer = changed
    since = {"param": "from", "field": "changed"}
    world = shop.world(**fed(api, since=since, page={"number": "page", "rows": 2}, attempts=2))
    with pytest.raises(ContractError, match="HTTP 500"):
        pull(world, shop.inbox)
    assert not (shop.inbox / "sales" / "cursor.json").exists()
    works_to[0] = 99
    pull(world, shop.inbox)
    have[0] = 6
    pull(world, shop.inbox)
    assert api.asked[-1][1]["from"] == "2024-03-01T03:00:00"
    assert shop.landed(world) == (6, 6.0)


def test_the_token_comes_from_the_environment_and_the_pace_is_kept(
    shop: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "t0ken")
    api.answer = _linked
    more = {
        "headers": {"Authorization": "Bearer ${SHOP_TOKEN}"},
        "records": "items",
        "page": {"next": "next"},
        "per_second": 4,
    }
    began = time.monotonic()
    pull(shop.world(**fed(api, **more)), shop.inbox)
    assert time.monotonic() - began >= 0.25
    assert [query["authorization"] for _, query in api.asked] == ["Bearer t0ken"] * 2


def test_no_secret_crosses_the_network_in_the_clear(
    shop: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor where the environment says which server it is; on this machine it may."""
    monkeypatch.setenv("PW", "t0ken")
    asked = {"get": "http://${ERP}/", "headers": {"Authorization": "Bearer ${PW}"}}
    for server, why in (("erp.lan", "in the clear"), ("127.0.0.1:9", "no answer")):
        monkeypatch.setenv("ERP", server)
        with pytest.raises(ContractError, match=why):
            pull(shop.world(url=asked | {"attempts": 1}), shop.inbox)
    for address, is_refused in (
        ("mqtt://me:${PW}@broker.lan", True),
        ("nats://me:${PW}@broker.lan", True),
        ("mqtts://me:${PW}@broker.lan", False),
        ("tls://me:${PW}@broker.lan", False),
        ("nats://me:${PW}@127.0.0.1", False),
        ("mqtt://broker.lan", False),
    ):
        with pytest.raises(ContractError, match="clear") if is_refused else nullcontext():
            assert server_of(address, "here") == address.replace("${PW}", "t0ken")


def test_decimals_keep_the_digits_they_were_sent_with(shop: Any, api: Api) -> None:
    api.answer = lambda path, query: (
        200,
        {},
        b'[{"id": 1, "qty": 1.10, "deep": 12345678901234567890.123456789}]',
    )
    pull(shop.world(**fed(api)), shop.inbox)
    assert json.loads(shop.lines()[0]) == {
        "id": 1,
        "qty": "1.10",
        "deep": "12345678901234567890.123456789",
    }
