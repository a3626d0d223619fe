"""The command line: parse, call a use case, print."""

from orchestration.cli.main import app

__all__ = ["app"]
