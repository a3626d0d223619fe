"""The API does what its own description says, whatever is sent: held against Schemathesis."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from orchestration.home import Home
from orchestration.ledger.audit import audit
from orchestration.web.application import create_app
from tests.web.scripting import token_of

#: What a request that is in shape may be refused for: it is not there, the rules or a newer version
#: forbid it.
REFUSED = ["2xx", "3xx", "401", "403", "404", "409", "412", "429"]
#: Requests of each kind at each address.
EXAMPLES = 4


def test_every_address_answers_as_it_is_described(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.web.sessions.RATE", 1e9)
    token, app = token_of(home, "anna", "approver"), create_app(home, hosts=("testserver",))
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    schema.config.checks.positive_data_acceptance.expected_statuses = REFUSED

    @schema.auth()  # as Schemathesis sends it, so that it can also leave it out
    class Bearer:
        def get(self, case: Any, context: Any) -> str:
            return token

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    paths = app.openapi()["paths"].values()
    names = [operation["operationId"] for path in paths for operation in path.values()]
    assert len(set(names)) == len(names)  # generated clients name their functions so
    asked = 0
    for found in schema.get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            asked += ask(found.ok(), mode)
    assert asked > 150
    assert audit(home.ledger_url) == []


def ask(operation: Any, mode: GenerationMode) -> int:
    """Send generated requests and check every answer; how many there were."""
    asked = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.call_and_validate()

    try:
        run()
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE  # there is nothing to send that could be wrong
    return asked
