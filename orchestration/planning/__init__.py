"""From facts to orders: demand, models, rehearsal, plan and what people overrode."""

from models.replenishment.policies import POLICIES
from orchestration.home import HomeError, extensions

for policy in extensions.offered("policies"):
    if POLICIES.setdefault(policy.name, policy) is not policy:
        raise HomeError(f"an extension's policy {policy.name!r} has a name that is taken")
