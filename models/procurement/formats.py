"""Every document format a partner may ask for, by the name that partners.yml uses."""

from __future__ import annotations

from models.procurement.codec import Codec
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
