"""Every document format a partner may ask for, by the name that partners.yml uses."""

from __future__ import annotations

from models.procurement import cii_in
from models.procurement.codec import Codec, Reader
from models.procurement.csv_format import Table
from models.procurement.edifact_out import Edifact
from models.procurement.ubl_out import Ubl
from models.procurement.x12_out import X12

CODECS: dict[str, Codec] = {
    "x12": X12(),
    "edifact": Edifact(),
    "ubl": Ubl(),
    "csv": Table(),
}
#: What a supplier of any format may bill with: a Cross Industry Invoice, plain or within a PDF.
BILLS = cii_in.Bills()


def reader_of(body: bytes, usual: Reader) -> Reader:
    """What reads a file: the format agreed with its partner, unless it is such a bill."""
    return BILLS if cii_in.is_one(body) else usual
