"""One small company for all feature tests: its warehouse built once by dbt, copied for the tests
that change it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from feast import FeatureStore

sys.path.insert(0, str(Path(__file__).parent))

from small_marts import dbt, write_marts

from feature_repo.store import open_store


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small company's warehouse with its features; read only."""
    warehouse = tmp_path_factory.mktemp("company") / "warehouse.duckdb"
    write_marts(warehouse)
    dbt(warehouse, "build")
    return warehouse


@pytest.fixture(scope="session")
def store(built: Path) -> FeatureStore:
    """Feast over the small company; read only."""
    return open_store(built, built.parent / "features")


@pytest.fixture
def own(built: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the warehouse that a test may change."""
    yield Path(shutil.copy(built, tmp_path / "warehouse.duckdb"))
