"""The whole graph: everything in defs/, listed nowhere else."""

import warnings
from pathlib import Path

import dagster as dg

from orchestration import defs as folder


@dg.definitions
def defs() -> dg.Definitions:
    """Loaded from the package itself, so that an installed wheel, which has no pyproject.toml
    beside it, has the same graph."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # its own loader, which `dg` uses too
        return dg.ComponentTree(
            defs_module=folder, project_root=Path(__file__).parents[1]
        ).build_defs()
