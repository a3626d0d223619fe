"""Lets the tests of this room import `warehouses`, their hand-made company."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
