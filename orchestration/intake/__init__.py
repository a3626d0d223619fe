"""Intake: databases, APIs, webhooks, streams and watched folders become files that landing reads,
with nothing lost and nothing twice.

names = pull(world, home.inbox) + drain(world, home.inbox)
"""

from orchestration.intake.database import pull_database
from orchestration.intake.folder import sweep
from orchestration.intake.inbox import Inbox, Message
from orchestration.intake.options import check_intake
from orchestration.intake.pulling import drain, forget_landed, is_landed, lying, pull, waiting
from orchestration.intake.rest import pull_rest
from orchestration.intake.streams import brokers, receive
from orchestration.intake.webhook import receiver, serve, webhooks

__all__ = [
    "Inbox",
    "Message",
    "brokers",
    "check_intake",
    "drain",
    "forget_landed",
    "is_landed",
    "lying",
    "pull",
    "pull_database",
    "pull_rest",
    "receive",
    "receiver",
    "serve",
    "sweep",
    "waiting",
    "webhooks",
]
