"""ERPs as sources: questions in a body, pages by what stands behind the last row, changes with an
overlap, relations as columns, deletions noticed. The servers are real, on loopback; what Odoo and
ERPNext answer was made by hand after their documentation."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.intake import pull
from orchestration.intake.answers import plain
from orchestration.landing import ContractError, World, land

EXTENDING = Path(__file__).parents[2] / ".github" / "EXTENDING.md"
Asked = dict[str, Any]


class Erp:
    """A server whose answers a test decides by what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Asked, str]] = []
        self.answer: Callable[[str, Asked], Any] = lambda path, asked: []
        erp = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Content-Type"] == "application/json"
                self._say(json.loads(body))

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._say({name: values[0] for name, values in query.items()})

            def _say(self, asked: Asked) -> None:
                path = urlsplit(self.path).path
                erp.asked.append((path, asked, self.headers.get("Authorization", "")))
                body = json.dumps(erp.answer(path, asked)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def erp() -> Iterator[Erp]:
    found = Erp()
    yield found
    found.server.shutdown()
    found.server.server_close()


def documented(name: str, folder: Path) -> World:
    """A contract as EXTENDING.md has it."""
    text = EXTENDING.read_text(encoding="utf-8")
    (block,) = re.findall(rf"```yaml {name}\n(.*?)```", text, re.DOTALL)
    (folder / "world.yml").write_text(block, encoding="utf-8")
    return World.load(folder)


def sold(world: World, folder: Path) -> list[Any]:
    with duckdb.connect(config={"threads": "1"}) as con:
        land(con, world, folder, folder / "archive", inbox=folder / "inbox")
        aside = con.sql("select * from raw.quarantine").fetchall()
        assert aside == []
        return con.sql(
            "select item_id, location_id, event_at::date::text, quantity from raw.sales order by 1, 3"
        ).fetchall()


MOVES = [
    {
        "id": number,
        "product_id": [7, "[E-COM07] Large Cabinet"],
        "quantity": 2.0,
        "date": f"2026-03-0{number} 10:15:00",
        "location_id": [8, "WH/Stock"],
        "write_date": f"2026-03-0{number} 10:15:01",
    }
    for number in (1, 2, 3)
]


def test_odoo_s_moves_land_by_the_documented_contract(
    erp: Erp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(path: str, asked: Asked) -> Any:
        assert path == "/json/2/stock.move/search_read"
        after, since = (asked["domain"][n][2] for n in (0, 1))
        rows = [row for row in MOVES if row["id"] > after and row["write_date"] >= since]
        return rows[: asked["limit"]]

    erp.answer = answer
    monkeypatch.setenv("ODOO_URL", erp.url)
    monkeypatch.setenv("ODOO_KEY", "k3y")
    world = documented("odoo", tmp_path)
    pull(world, tmp_path / "inbox")
    assert [asked["domain"][0][2] for _, asked, _ in erp.asked] == [0, 2]
    assert {who for *_, who in erp.asked} == {"bearer k3y"}
    assert sold(world, tmp_path)[0] == ("7", "WH/Stock", "2026-03-01", 2.0)
    erp.asked.clear()
    pull(world, tmp_path / "inbox")
    assert [asked["domain"][1][2] for _, asked, _ in erp.asked] == ["2026-03-03 10:14:01"]


ENTRIES = [
    {
        "name": f"MAT-SLE-0000{number}",
        "item_code": "SKU-1",
        "warehouse": "Stores - C",
        "posting_date": f"2026-03-0{number}",
        "actual_qty": -3.0,
        "is_cancelled": int(number == 2),
        "modified": f"2026-03-0{number} 08:00:00.123456",
    }
    for number in (1, 2, 3)
]


def test_erpnext_s_entries_land_by_the_documented_contract(
    erp: Erp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(path: str, asked: Asked) -> Any:
        assert path == "/api/resource/Stock%20Ledger%20Entry"
        (_, _, after), (_, _, since), _ = json.loads(asked["filters"])
        rows = [row for row in ENTRIES if row["name"] > after and row["modified"] >= since]
        return {"data": rows[: int(asked["limit_page_length"])]}

    erp.answer = answer
    monkeypatch.setenv("ERPNEXT_URL", erp.url)
    monkeypatch.setenv("ERPNEXT_KEY", "key:secret")
    world = documented("erpnext", tmp_path)
    pull(world, tmp_path / "inbox")
    assert sold(world, tmp_path) == [
        ("SKU-1", "Stores - C", f"2026-03-0{number}", 3.0) for number in (1, 3)
    ]
    assert {who for *_, who in erp.asked} == {"token key:secret"}


def asking(erp: Erp, **more: Any) -> dict[str, Any]:
    """A JSON-RPC source with pages of three and changes since a time."""
    question = {"domain": [["id", ">", "$after"], ["changed", ">=", "$since"]], "limit": "$rows"}
    return {
        "url": {
            "post": f"{erp.url}/rpc",
            "body": {"id": 0, "method": "read", "params": question},
            "records": "result",
            "page": {"after": "id", "rows": 3},
            "since": {"field": "changed", "start": "2000-01-01 00:00:00", "overlap": 60},
            "timeout_seconds": 5,
            "attempts": 1,
            **more,
        }
    }


def table(rows: dict[int, dict[str, Any]]) -> Callable[[str, Asked], Any]:
    """A table behind JSON-RPC."""

    def answer(path: str, asked: Asked) -> Any:
        domain, limit = asked["params"]["domain"], asked["params"]["limit"]
        since = domain[1][2] if len(domain) > 1 else ""
        found = [rows[n] for n in sorted(rows) if n > domain[0][2] and rows[n]["changed"] >= since]
        return {"id": 0, "result": found[:limit]}

    return answer


def row(number: int, minute: int, quantity: int = 1) -> dict[str, Any]:
    changed = f"2024-03-01 {minute // 60:02d}:{minute % 60:02d}:00"
    about = {"item": "apple", "store": "north", "day": "2024-03-01"}
    return {"id": number, **about, "qty": quantity, "changed": changed}


GONE = {"key": "id", "body": {"method": "read", "params": {"domain": [["id", ">", "$after"]], "limit": "$rows"}}}  # fmt: skip
EMPTIED = {
    "item_id": "item",
    "location_id": "store",
    "event_at": "day",
    "quantity": "case when _deleted_at is null then qty else '0' end",
}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.dictionaries(st.integers(1, 12), st.integers(0, 9) | st.none(), max_size=6),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_landed_is_what_is_there_whatever_is_written_changed_and_deleted(
    erp: Erp, shop_of: Callable[[], Any], steps: list[dict[int, int | None]]
) -> None:
    """Each step writes some rows and deletes some (never the larger part of many), then pulls; no
    number is given twice."""
    shop, rows, dead = shop_of(), {}, set()
    erp.answer = table(rows)
    world = shop.world(
        **asking(erp, gone=GONE),
        known_at="coalesce(_deleted_at, changed)",
        known_after=None,
        into=[{"sales": EMPTIED}],
    )
    for minute, step in enumerate(steps, start=1):
        for number, quantity in step.items():
            if quantity is not None and number not in dead:
                rows[number] = row(number, minute, quantity)
            elif quantity is None and len(rows) < 10:
                dead.add(number)
                rows.pop(number, None)
        pull(world, shop.inbox)
    total = shop.newest(world)
    assert total == sum(found["qty"] for found in rows.values())


@pytest.fixture
def shop_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Any]]:
    from tests.intake.conftest import Shop

    made: list[Any] = []

    class Newest(Shop):
        def newest(self, world: World) -> float:
            self.landed(world)
            (found,) = self.con.execute(
                "select coalesce(sum(quantity), 0) from (select quantity from raw.sales "
                "qualify row_number() over (partition by row_key order by known_at desc) = 1)"
            ).fetchall()
            return float(found[0])

    def one() -> Any:
        made.append(Newest(tmp_path_factory.mktemp("shop")))
        return made[-1]

    yield one
    for shop in made:
        shop.con.close()


def test_rows_that_may_not_be_read_any_more_are_not_taken_for_deleted(erp: Erp, shop: Any) -> None:
    rows = {number: row(number, number) for number in range(1, 13)}
    erp.answer = table(rows)
    world = shop.world(**asking(erp, gone=GONE))
    pull(world, shop.inbox)
    kept = dict(rows)
    rows.clear()
    with pytest.raises(ContractError, match="12 of 12 known rows, the larger part, are gone"):
        pull(world, shop.inbox)
    rows.update(kept)
    pull(world, shop.inbox)
    assert not any('"_deleted_at": "' in line for line in shop.lines())


def test_a_refusal_is_said_in_the_erp_s_own_words(erp: Erp, shop: Any) -> None:
    erp.answer = lambda path, asked: {"id": 0, "error": ["AccessError", ["no right to read moves"]]}
    with pytest.raises(ContractError, match=r"the API refuses: .*no right to read moves"):
        pull(shop.world(**asking(erp)), shop.inbox)
    erp.answer = lambda path, asked: {"error": {"data": {"message": "Access Denied"}}}
    with pytest.raises(ContractError, match="the API refuses: Access Denied"):
        pull(shop.world(**asking(erp)), shop.inbox)


def test_pages_that_do_not_go_on_are_refused(erp: Erp, shop: Any) -> None:
    erp.answer = lambda path, asked: {"result": [row(n, n) for n in (1, 2, 3)]}
    with pytest.raises(ContractError, match="leads back to a page already read"):
        pull(shop.world(**asking(erp)), shop.inbox)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"get": "http://x/"}, "give get or post, exactly one"),
        ({"page": {"after": "id"}}, "after needs rows"),
        ({"page": None}, r"the question has \$after, which belongs to `page.after`"),
        ({"since": None}, r"the question has \$since, which belongs to `since`"),
        ({"since": {"field": "changed"}}, "give param, or start"),
        ({"body": {"method": "read"}}, r"the question lacks \$since"),
        ({"login": {"user": "me", "password": "secret"}}, "the password stands in the environment"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anybody_is(
    erp: Erp, shop: Any, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ContractError, match=said):
        pull(shop.world(**asking(erp, **changes)), shop.inbox)
    assert erp.asked == []


def test_values_and_relations_become_columns() -> None:
    nested = {
        "at": {"__class__": "datetime", "year": 2026, "month": 3, "day": 1, "hour": 9},
        "on": {"__class__": "date", "year": 2026, "month": 3, "day": 1},
        "odd": {"__class__": "date", "year": 2026, "month": 13, "day": 1},
        "price": {"__class__": "Decimal", "decimal": "1.50"},
        "takes": {"__class__": "timedelta", "seconds": 86400.0},
        "party": 3,
        "party.": {"code": "NEAR", "id": 3, "address.": {"city": "Ghent"}},
        "moves.": [{"id": 1}],
        "carrier.": None,
    }
    assert plain(nested, "nested") == {
        "at": "2026-03-01 09:00:00",
        "on": "2026-03-01",
        "odd.__class__": "date",
        "odd.year": 2026,
        "odd.month": 13,
        "odd.day": 1,
        "price": "1.50",
        "takes": 86400.0,
        "party": 3,
        "party.code": "NEAR",
        "party.id": 3,
        "party.address.city": "Ghent",
    }
    pairs = {"id": 1, "partner_id": [7, "Azure"], "lot_id": False, "tags": [1, 2], "active": True}
    assert plain(pairs, "pairs") == {
        "id": 1,
        "partner_id": 7,
        "partner_id.name": "Azure",
        "lot_id": None,
        "tags": [1, 2],
        "active": True,
    }
    assert plain(nested, None) == nested


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "changed", "result", "error", "__class__", "year", "party."]),
            inner,
        )
    ),
    max_leaves=10,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(answers=st.lists(JSON, min_size=1, max_size=3), relations=st.sampled_from(["nested", "pairs", None]))  # fmt: skip
def test_any_answer_is_read_or_refused_in_words(
    erp: Erp, shop_of: Callable[[], Any], answers: list[Any], relations: str | None
) -> None:
    said = [{"result": answers}, *answers]
    erp.answer = lambda path, asked: said.pop(0) if said else {"result": []}
    shop = shop_of()
    try:
        pull(shop.world(**asking(erp, relations=relations, gone=GONE)), shop.inbox)
    except ContractError as error:
        assert str(error)
    assert all(json.loads(found) for found in shop.lines())
