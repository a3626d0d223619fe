"""The API: what a script does happens exactly once, in its person's name, within its scopes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from orchestration.app.futures_limit import LEAST_FUTURES, MOST_FUTURES, check_futures
from orchestration.cli import app as commands
from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.ledger.audit import audit
from orchestration.planning import override_journal
from orchestration.web.application import create_app
from orchestration.web.people import People
from orchestration.web.sessions import BURST
from orchestration.web.tokens import TokenError, Tokens
from tests.web.scripting import keyed, script, token_of
from tests.web.small_home import NOW, order_line

LISTS = ("requisitions", "orders", "exceptions", "forecasts", "items", "overrides", "receipts")


@pytest.fixture
def anna(home: Home, app: Any) -> TestClient:
    return script(app, token_of(home, "anna", "approver"))


def events(home: Home, kind: str) -> list[Any]:
    ledger = Ledger.of(home)
    found = [event for event in ledger.events() if event.kind == kind]
    ledger.close()
    return found


def first(client: TestClient) -> tuple[str, str]:
    """A purchase that waits, and its ETag."""
    line = client.get("orders?item_id=mug&location_id=DC").json()["rows"][0]["document_id"]
    return line, client.get(f"orders/{line}").headers["etag"]


@pytest.mark.parametrize("name", LISTS)
def test_the_pages_of_a_list_are_the_list_whatever_their_size(anna: TestClient, name: str) -> None:
    anna.post("overrides", json=OVERRIDE, headers=keyed())
    whole = anna.get(name, params={"limit": 500}).json()
    assert whole["next"] == "" and (whole["rows"] or name == "receipts")
    for size in (2, 7):
        rows, cursor = [], ""
        for _ in range(200):
            page = anna.get(name, params={"limit": size, "cursor": cursor}).json()
            rows, cursor = rows + page["rows"], page["next"]
            assert len(page["rows"]) <= size
            if not cursor:
                break
        assert rows == whole["rows"]
    assert anna.get(name, params={"cursor": "bm9uZQ"}).status_code == 404


OVERRIDE = {
    "kind": "quantity",
    "value": 77,
    "scope": {"item_id": "mug", "location_id": "DC"},
    "reason": "the fair is in town",
}


def test_who_has_it_already_is_not_sent_it_again(anna: TestClient) -> None:
    line, version = first(anna)
    for path in ("orders", f"orders/{line}", "exceptions", "limits", "scenarios"):
        etag = anna.get(path).headers["etag"]
        again = anna.get(path, headers={"if-none-match": f'"other", {etag}'})
        assert (again.status_code, again.content) == (304, b""), path
    answer = anna.post(f"orders/{line}/approve", json={}, headers=keyed(version))
    assert answer.headers["etag"] != version
    for path in ("orders", f"orders/{line}"):
        assert anna.get(path, headers={"if-none-match": version}).status_code == 200


def test_a_request_happens_once_however_often_it_is_sent(anna: TestClient, home: Home) -> None:
    line, version = first(anna)
    sent = keyed(version, "the-key-of-the-bridge")
    answers = [
        anna.post(f"orders/{line}/approve", json={"note": "agreed"}, headers=sent),
        anna.post(f"orders/{line}/approve", json={"note": "agreed"}, headers=sent),
        # another process, another token of the same person
        script(create_app(home), token_of(home, "anna", "approver")).post(
            f"orders/{line}/approve", json={"note": "agreed"}, headers=sent
        ),
    ]
    assert [a.status_code for a in answers] == [200] * 3
    assert len({a.content for a in answers}) == 1
    assert [a.headers.get("idempotency-replayed") for a in answers] == [None, "true", "true"]
    other = anna.post(f"orders/{line}/approve", json={"note": "else"}, headers=sent)
    assert other.status_code == 409 and other.json()["type"].endswith(":key-used")
    (approved,) = events(home, "approved")
    assert (approved.actor, approved.payload["note"]) == ("anna", "agreed")
    stale = anna.post(f"orders/{line}/reject", json={"reason": "x"}, headers=keyed(version))
    assert stale.status_code == 412 and not events(home, "rejected")
    for missing in ({"if-match": "*"}, {"idempotency-key": "k" * 9}):
        bare = anna.post(f"orders/{line}/cancel", json={"reason": "x"}, headers=missing)
        assert bare.status_code == 428
    assert audit(home.ledger_url) == []


def test_a_crash_between_the_write_and_its_answer_orders_nothing_twice(
    anna: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise MemoryError

    line, version = first(anna)
    mine, wanted = keyed(version), keyed()
    with monkeypatch.context() as dying:
        dying.setattr("orchestration.web.api.writing._done", die)
        with pytest.raises(MemoryError):
            anna.post(f"orders/{line}/approve", json={}, headers=mine)
        dying.setattr("orchestration.web.api.overrides._as_recorded", die)
        with pytest.raises(MemoryError):
            anna.post("overrides", json=OVERRIDE, headers=wanted)
    again = script(create_app(home), token_of(home, "anna", "approver"))
    told = again.post(f"orders/{line}/approve", json={}, headers=mine)
    assert told.headers["idempotency-replayed"] == "true"
    assert [e["kind"] for e in told.json()["events"]] == ["approved"]
    assert again.post("overrides", json=OVERRIDE, headers=wanted).status_code == 201
    assert len(events(home, "approved")) == len(override_journal.entries(home)) == 1
    other = again.post("overrides", json=OVERRIDE | {"value": 5}, headers=wanted)
    assert other.status_code == 409


def test_a_token_reaches_no_further_than_its_scopes_and_its_persons_role(
    home: Home, app: Any, come: Any
) -> None:
    token_of(home, "ada", "admin")
    reader = script(app, token_of(home, "anna", "approver", "read"))
    line, version = first(reader)
    paul = script(app, token_of(home, "paul", "planner"))
    for client in (reader, paul):
        answer = client.post(f"orders/{line}/approve", json={}, headers=keyed(version))
        assert answer.status_code == 403, answer.text
    assert paul.post(f"orders/{line}/firm", json={}, headers=keyed()).status_code == 200
    with pytest.raises(TokenError, match="never reaches further"):
        token_of(home, "vera", "viewer", "read", "orders:write")
    with pytest.raises(TokenError, match="no scope"):
        token_of(home, "vera", "viewer", "everything")
    People(home).set_role("paul", "viewer", "the test")
    assert paul.post(f"orders/{line}/firm", json={}, headers=keyed()).status_code == 403
    browser = come("bert", "approver").client  # a cookie reads, and never writes
    assert browser.get("/api/v1/orders").status_code == 200
    answer = browser.post(f"/api/v1/orders/{line}/approve", json={}, headers=keyed())
    assert answer.status_code == 403 and not events(home, "approved")


def test_a_token_ends_with_its_person_its_time_or_its_being_revoked(home: Home, app: Any) -> None:
    people = People(home)
    token_of(home, "ada", "admin")
    closed, revoked = (token_of(home, name, "planner") for name in ("paul", "petra"))
    over = Tokens(home, people).add("x", "paul", ["read"], timedelta(microseconds=1), "test")
    wrong = closed[:-1] + ("A" if closed[-1] != "A" else "B")
    assert script(app, closed).get("state").status_code == 200
    people.close("paul", "the test")
    Tokens(home, people).revoke(revoked.split("_")[1], "the test")
    people.enrol(people.invite("paul", "planner", "the test"), "", "another sentence of his")
    for token in (closed, revoked, over, wrong, "", "shk_", closed + "\u00e9"):
        answer = script(app, token.encode()).get("state")
        assert answer.status_code == 401, token
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "paul" not in answer.text
    with pytest.raises(TokenError, match="1 to 366 days"):
        Tokens(home, people).add("x", "paul", ["read"], timedelta(days=999), "test")


def test_four_eyes_hold_for_a_person_and_their_token(anna: TestClient, home: Home) -> None:
    assert anna.post("overrides", json=OVERRIDE, headers=keyed()).status_code == 201
    ledger = Ledger.of(home)
    ledger.propose([order_line("mug", 77)], "next run", NOW, authors={("mug", "DC"): {"anna"}})
    ledger.close()
    line, version = first(anna)
    answer = anna.post(f"orders/{line}/approve", json={}, headers=keyed(version))
    assert answer.status_code == 409 and "separation of duties" in answer.json()["detail"]
    version = anna.get("limits").headers["etag"]
    change = {"auto_amount": "1999.50", "approvers": {"anna": 3, "bert": 3}}
    assert anna.post("limits/propose", json=change, headers=keyed(version)).status_code == 200
    assert anna.post("limits/confirm", json={}, headers=keyed()).status_code == 409
    bert = script(anna.app, token_of(home, "bert", "approver"))
    assert bert.post("limits/confirm", json={}, headers=keyed(version)).status_code == 412
    assert bert.post("limits/confirm", json={}, headers=keyed()).status_code == 200
    assert bert.get("limits").json()["in_force"]["auto_amount"] == "1999.5"


def test_goods_and_bills_close_an_order_and_are_booked_once(anna: TestClient, home: Home) -> None:
    line, version = first(anna)
    anna.post(f"orders/{line}/approve", json={}, headers=keyed(version))
    order = anna.get(f"orders/{line}").json()
    of = {"order_id": order["order_id"], "line_id": order["line_id"]}
    receipt = of | {"receipt_id": "R1", "quantity": 40, "received_at": "2026-01-06T10:00:00+01:00"}
    late = receipt | {"received_at": "2999-01-01T00:00:00Z"}
    assert anna.post("receipts", json=late, headers=keyed()).status_code == 409
    for _ in range(2):  # another key, the same receipt
        assert anna.post("receipts", json=receipt, headers=keyed()).status_code == 200
    billed = [{"line_id": order["line_id"], "quantity": 40, "unit_cost": order["unit_cost"]}]
    bill = {"invoice_id": "I1", "order_id": order["order_id"], "invoiced_on": "2026-01-07"}
    for _ in range(2):
        done = anna.post("invoices", json=bill | {"lines": billed}, headers=keyed())
        assert done.status_code == 200, done.text
    (came,), (due,) = (anna.get(name).json()["rows"] for name in ("receipts", "invoices"))
    assert (came["received_at"], came["recorded_by"]) == ("2026-01-06T09:00:00Z", "anna")
    assert (due["amount"], due["status"]) == ("100.00", "payment_proposed")
    assert events(home, "heard")[0].payload["handed_in_by"] == "anna"
    unknown = bill | {"invoice_id": "I2", "lines": [billed[0] | {"line_id": "9"}]}
    refused = anna.post("invoices", json=unknown, headers=keyed())
    assert refused.status_code == 409 and "line 9" in refused.json()["detail"]
    assert anna.get(f"orders/{line}").json()["stage"] == "closed"
    assert audit(home.ledger_url) == []


def test_a_bill_that_does_not_match_is_a_case_for_a_person(anna: TestClient) -> None:
    line, version = first(anna)
    anna.post(f"orders/{line}/approve", json={}, headers=keyed(version))
    order = anna.get(f"orders/{line}").json()
    billed = [{"line_id": order["line_id"], "quantity": 90, "unit_cost": order["unit_cost"]}]
    bill = {"invoice_id": "I0", "order_id": order["order_id"], "invoiced_on": "2026-01-07"}
    assert anna.post("invoices", json=bill | {"lines": billed}, headers=keyed()).status_code == 200
    asked = [x for x in anna.get("exceptions").json()["rows"] if x["kind"] == "bill_not_matched"]
    (case,), (doubtful,) = asked, anna.get("invoices").json()["rows"]
    assert doubtful["status"] == "exception" and doubtful["reason"] in case["reason"]
    assert float(case["value_at_risk"]) == 90 * float(order["unit_cost"])


def test_an_exception_is_taken_put_to_sleep_and_closed(anna: TestClient) -> None:
    case = anna.get("exceptions").json()["rows"][0]
    path, etag = f"exceptions/{case['case_id']}", f'"{case["version"]}"'
    taken = anna.post(path, json={"status": "in work"}, headers=keyed(etag))
    assert taken.status_code == 200
    assert anna.get(path).json()["owner"] == "anna"
    closed = {"status": "done", "reason": "they came"}
    assert anna.post(path, json=closed, headers=keyed(etag)).status_code == 412
    sleeping = {"status": "snoozed", "reason": "asked them", "until": "2026-02-01"}
    assert anna.post(path, json=sleeping, headers=keyed()).status_code == 200
    assert case["case_id"] not in anna.get("exceptions").text
    assert anna.get("exceptions?status=snoozed").json()["total"] == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[" * 100_000, 422),
        (b'{"reason": "x", "quantity": NaN}', 422),
        (b'{"reason": "x", "quantity": 1e400}', 422),
        (b'{"reason": "\\ud800"}', 422),
        (b'{"reason": "a\\u0000b"}', 422),
        (b'{"reason": "x", "due_on": 5}', 422),
        (b'{"reason": "x", "more": 1}', 422),
        (b'{"reason": "x", "quantity": ' + b"9" * 5_000 + b"}", 422),
        (b'{"reason": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
)
def test_hostile_bodies_are_problems_and_change_nothing(
    anna: TestClient, home: Home, body: bytes, status: int
) -> None:
    line, version = first(anna)
    headers = keyed(version) | {"content-type": "application/json"}
    answer = anna.post(f"orders/{line}/change", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == status and said["mend"] and len(answer.content) < 4_000
    assert not events(home, "changed")


@pytest.mark.parametrize(
    "path", ["nothing", "orders/%2e%2e%2fpeople", "orders/a%00b", "exceptions/CASE-1", "items/%ff"]
)
def test_an_odd_address_is_a_problem_with_words(anna: TestClient, path: str) -> None:
    answer = anna.get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    wrong = anna.delete("overrides")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")


def test_who_asks_too_often_waits(anna: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.web.sessions.RATE", 0.01)
    answers = [anna.get("state") for _ in range(int(BURST) + 1)]
    assert {a.status_code for a in answers[:-1]} == {200}
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) > 0


def test_a_scenario_is_started_once_and_its_job_is_told(anna: TestClient) -> None:
    unknown = anna.post("scenarios/studies", json={"scenarios": ["none"]}, headers=keyed())
    assert unknown.status_code == 409 and "none" in unknown.json()["detail"]
    assert anna.get("scenarios/jobs/none").status_code == 404
    assert anna.get("scenarios/studies/none").status_code == 404


def test_the_api_the_desk_and_the_command_refuse_the_same_futures_with_the_same_words(
    anna: TestClient, come: Any, home: Home
) -> None:
    assert home.origin is not None
    world, desk = home.origin[0], come("paul", "planner")
    desk.get("/scenarios")
    for futures in (LEAST_FUTURES - 1, MOST_FUTURES + 1):
        with pytest.raises(ValueError, match="a study meets") as refused:
            check_futures(futures)
        asked = {"scenarios": ["none"], "futures": futures}
        api = anna.post("scenarios/studies", json=asked, headers=keyed())
        assert api.status_code == 422 and str(refused.value) in api.json()["detail"]
        page = desk.post("/scenarios/run", scenario="none", futures=str(futures))
        assert str(refused.value) in page.text
        here = ["--home", str(home.root), "--scenario", "none.yml", "--paths", str(futures)]
        told = CliRunner().invoke(commands, ["simulate", str(world), *here])
        assert told.exit_code == 2 and str(refused.value) in " ".join(told.stderr.split())


def test_a_token_is_printed_once_and_kept_as_a_hash(home: Home, app: Any) -> None:
    token_of(home, "anna", "approver")
    here = ["--home", str(home.root)]
    said = ["token", "add", "erp", "--for", "anna", "--scope", "read", "--by", "root"]
    made = CliRunner().invoke(commands, [*said, "--json", *here])
    token = json.loads(made.stdout)["token"]
    assert script(app, token).get("state").status_code == 200
    kept = (home.state / "desk" / "tokens.jsonl").read_text()
    assert token.split("_", 2)[2] not in kept
    listed = CliRunner().invoke(commands, ["token", "list", *here]).stdout
    assert "erp  for anna: read" in listed and token not in listed
    CliRunner().invoke(commands, ["token", "revoke", token.split("_")[1], "--by", "x", *here])
    assert script(app, token).get("state").status_code == 401
    nobody = CliRunner().invoke(commands, [*said[:4], "nobody", "--by", "root", *here])
    assert nobody.exit_code == 2
