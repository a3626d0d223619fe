"""Every document format a partner may ask for, by the name that partners.yml uses."""

from __future__ import annotations

from models.procurement.codec import Codec
from models.procurement.edi import X12
from models.procurement.edifact import Edifact
from models.procurement.table import Table
from models.procurement.ubl import Ubl

CODECS: dict[str, Codec] = {
    "x12": X12(),
    "edifact": Edifact(),
    "ubl": Ubl(),
    "csv": Table(),
}
