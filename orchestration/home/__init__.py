"""Where one company's lakehouse lives on disk, and how it is kept safe."""

from orchestration.home.home import DEFAULT_HOME, FOUNDED, Home, HomeError

__all__ = ["DEFAULT_HOME", "FOUNDED", "Home", "HomeError"]
