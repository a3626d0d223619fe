"""How the sample company is made: real rows first, then everything a plain simulation can add without contradicting them."""

import os

os.environ["OPENPYXL_LXML"] = "False"  # openpyxl writes other bytes where lxml happens to be installed
