"""How the sample company is made: real rows first, then everything a plain simulation can add
without contradicting them."""

import os

# openpyxl writes other bytes where lxml happens to be installed
os.environ["OPENPYXL_LXML"] = "False"
