"""A fresh ledger for every test, on SQLite and, where a server is reachable, on PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from models.domain import OrderLine
from orchestration.ledger import Ledger
from orchestration.ledger.schema import metadata
from orchestration.ledger.store import make_engine

NOW = datetime(2026, 1, 5)


def order_line(item: str = "mug", quantity: float = 10, **changes: Any) -> OrderLine:
    said: dict[str, Any] = {
        "world": "w",
        "kind": "purchase",
        "item_id": item,
        "location_id": "DC",
        "from_id": "S1",
        "quantity": quantity,
        "review_period": date(2026, 1, 5),
        "due_on": date(2026, 1, 20),
        "unit_cost": 2.5,
        "parts": {"expected_demand": float(quantity)},
        "reason": "demand over the window less the stock position",
    } | changes
    return OrderLine(**said)


@pytest.fixture
def line() -> Callable[..., OrderLine]:
    return order_line


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a database of our own on the PostgreSQL server, dropped at the end."""
    url = os.environ.get("STOCKHOUSE_POSTGRES_URL")
    if not url:
        pytest.skip("STOCKHOUSE_POSTGRES_URL names no PostgreSQL server")
    name = f"ledger_{uuid.uuid4().hex}"
    engine = make_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    yield sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite'}"
        return
    url = request.getfixturevalue("server")
    yield url
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql(
            "TRUNCATE " + ", ".join(f'"{table}"' for table in metadata.tables)
        )
    engine.dispose()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url)
    yield opened
    opened.close()
