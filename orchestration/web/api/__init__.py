"""The desk's use cases for ERPs and scripts, under /api/v1: the same lists and decisions as JSON.

Whoever asks has a token of a person (`stockhouse token add`) or, for reading, is signed in at the
desk. A list comes in pages with a cursor; what changes something carries an Idempotency-Key, and
an If-Match of what was looked at; what goes wrong is a problem document (RFC 9457).
"""

from __future__ import annotations

from fastapi import APIRouter

from orchestration.web.api import exceptions, facts, goods, limits, orders, overrides, scenarios

PREFIX = "/api/v1"
router = APIRouter(prefix=PREFIX)
for room in (orders, goods, exceptions, limits, overrides, facts, scenarios):
    router.include_router(room.router)
