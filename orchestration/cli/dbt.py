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
    from dbt.cli.exceptions import DbtUsageException
    from dbt.cli.main import dbtRunner
    from dbt.contracts.graph.manifest import Manifest

    dbt_project.parse()
    manifest = Manifest.from_msgpack(dbt_project.parsed())
    done = dbtRunner(manifest=manifest).invoke(sys.argv[1:])
    if isinstance(done.exception, DbtUsageException):  # of any other dbt itself has told
        sys.stderr.write(f"{done.exception}\n")
    return 0 if done.success else 2 if done.exception else 1
