"""Feast's registry as a file that readers find whole at any moment."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry


class WholeFileRegistryStore(FileRegistryStore):
    """Feast's own file, written aside and renamed: Feast empties it first, and whoever serves
    features in that moment is told that there are none."""

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(datetime.now(UTC).replace(tzinfo=None))
        path: Path = self._filepath
        path.parent.mkdir(exist_ok=True)
        aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with aside.open("wb") as file:
                file.write(registry_proto.SerializeToString())
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
