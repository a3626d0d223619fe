"""`stockhouse-dbt`: dbt as the line starts it, handed the project as it is parsed already, where
dbt itself would parse it anew in each new home."""

import sys
from importlib.metadata import version

from orchestration.app import dbt_project


def main() -> int:
    """dbt's own arguments, output and exit code."""
    if sys.argv[1:] == ["--version"]:  # Dagster asks each time, and dbt would load itself to say it
        sys.stdout.write(f"dbt-core {version('dbt-core')}\n")
        return 0
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack(dbt_project.parsed())
    return 0 if dbtRunner(manifest=manifest).invoke(sys.argv[1:]).success else 1
