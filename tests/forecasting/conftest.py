"""Lets this room's tests import demand_features, the feature contract in numpy."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
