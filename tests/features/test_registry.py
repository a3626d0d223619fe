"""Whoever serves features while another process applies them finds all of them at any moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from feast.protos.feast.core.Project_pb2 import Project
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig

from feature_repo.registry import WholeFileRegistryStore


def test_a_reader_never_finds_a_registry_that_is_being_written(tmp_path: Path) -> None:
    store = WholeFileRegistryStore(RegistryConfig(path=str(tmp_path / "registry.db")), tmp_path)
    full = Registry()
    full.projects.extend(Project() for _ in range(500))
    store.update_registry_proto(full)

    def write() -> None:
        for _ in range(60):
            store.update_registry_proto(full)

    with ThreadPoolExecutor(1) as pool:
        writing, read = pool.submit(write), 0
        while not writing.done():
            assert len(store.get_registry_proto().projects) == 500
            read += 1
        writing.result()
    assert read > 10
    assert [path.name for path in tmp_path.iterdir()] == ["registry.db"]
