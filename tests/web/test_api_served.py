"""The API of a desk that is really served: killed in the middle, and asked as the guide says."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestration.home import Home
from orchestration.ledger.audit import audit
from tests.ledger.hooks import SECRET, Receiver
from tests.web.scripting import keyed, token_of
from tests.web.serving import Served

GUIDE = Path(__file__).resolve().parents[2] / ".github/USING.md"


@pytest.fixture(scope="module")
def home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One home and one desk for all that is tried here: a start takes seconds."""
    root = tmp_path_factory.mktemp("served") / "home"
    shutil.copytree(made_home, root, symlinks=True)
    return Home.open(root)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()


@pytest.fixture(scope="module")
def desk(home: Home, receiver: Receiver) -> Iterator[Served]:
    url = receiver.subscriber("erp").url
    (home.state / "webhooks.yml").write_text(f"erp: {{url: '{url}', secret: HOOK}}", "utf-8")
    served = Served(home.root, {"HOOK": SECRET})
    served.start()
    yield served
    served.kill()


def approvals(home: Home, line: str) -> int:
    with sqlite3.connect(home.state / "ledger.sqlite") as con:
        query = "select count(*) from events where kind = 'approved' and document_id = ?"
        return int(con.execute(query, [line]).fetchone()[0])


def test_a_desk_killed_while_it_writes_or_before_it_answers_orders_once(
    desk: Served, home: Home
) -> None:
    token = token_of(home, "anna", "approver")
    line, sent = "R00000002", keyed('"1"')

    def send() -> None:
        try:
            with desk.client(token) as client:
                client.post(f"orders/{line}/approve", json={}, headers=sent)
        except httpx.TransportError:
            return  # nobody answered: the script knows nothing

    with sqlite3.connect(home.state / "ledger.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # the desk waits for the lock when it is killed
        asking = threading.Thread(target=send)
        asking.start()
        time.sleep(0.5)
        desk.kill()
        other.execute("ROLLBACK")
    asking.join()
    assert approvals(home, line) == 0
    desk.start()
    asking = threading.Thread(target=send)
    asking.start()
    while approvals(home, line) == 0:  # killed as soon as it has written
        time.sleep(0.0005)
    desk.kill()
    asking.join()
    desk.start()
    with desk.client(token) as client:
        answer = client.post(f"orders/{line}/approve", json={}, headers=sent)
    assert answer.status_code == 200 and answer.headers["idempotency-replayed"] == "true"
    assert approvals(home, line) == 1 and audit(home.ledger_url) == []


def test_the_script_of_the_guide_approves_an_order_and_the_subscriber_is_told(
    desk: Served,
    home: Home,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (script,) = re.findall(r"```python api\n(.*?)```", GUIDE.read_text("utf-8"), flags=re.DOTALL)
    assert len([line for line in script.splitlines() if line]) == 10
    monkeypatch.setenv("DESK_TOKEN", token_of(home, "anna", "approver", "read", "orders:write"))
    exec(script.replace("http://127.0.0.1:8321", desk.url), {})  # noqa: S102 - our own words
    said = capsys.readouterr().out
    assert "300.00 Blue mug" in said and "200 " in said and "approved" in said
    assert approvals(home, "R00000001") == 1
    deadline = time.monotonic() + 60  # a desk that was killed had claimed the subscriber
    while time.monotonic() < deadline and "R00000001" not in str(receiver.told):
        time.sleep(0.1)
    told = [said for _, said in receiver.told if said["data"]["document_id"] == "R00000001"]
    assert [said["type"] for said in told] == ["order.approved"]
