"""The front door: any company's extracts become canonical rows, with nothing lost and nothing
twice.

world = World.load(folder)
report = land(con, world, data_root, archive)
"""

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import World
from orchestration.landing.erase.erase_from_archive import Forgotten, forget
from orchestration.landing.load import quarantine
from orchestration.landing.load.contract_trial import Finding, check
from orchestration.landing.load.landing import land, land_records, reland, table_hashes
from orchestration.landing.load.report import LandReport
from orchestration.landing.readers.contract_draft import suggest

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
