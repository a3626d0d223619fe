"""A folder both sides see: messages appear under `out`, answers are put under `in`."""

from __future__ import annotations

from pathlib import Path

from orchestration.ledger import folders
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base


class Folder:
    """The transport of partners whose address is a folder."""

    def deliver(self, envelope: base.Envelope, partner: Partner) -> None:
        """Write the message into the partner's `out` folder, all of it or none."""
        name = envelope.file_name(partner)
        base.keep(Path(partner.address), folders.OUT, name, envelope.body)

    def fetch(self, partner: Partner) -> None:
        """Nothing: what the partner says lies in its folder already."""
