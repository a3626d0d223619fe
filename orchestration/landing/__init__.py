"""The front door: any company's extracts become canonical rows, with nothing lost and nothing twice.

world = World.load(folder)
report = land(con, world, data_root, archive)
"""

from orchestration.landing import quarantine
from orchestration.landing.checking import Finding, check
from orchestration.landing.contract import World
from orchestration.landing.errors import ContractError
from orchestration.landing.forgetting import Forgotten, forget
from orchestration.landing.landing import land, land_records, reland, table_hashes
from orchestration.landing.report import LandReport
from orchestration.landing.suggesting import suggest

__all__ = [
    "ContractError",
    "Finding",
    "Forgotten",
    "LandReport",
    "World",
    "check",
    "forget",
    "land",
    "land_records",
    "quarantine",
    "reland",
    "suggest",
    "table_hashes",
]
