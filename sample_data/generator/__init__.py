"""How the sample company is made: real rows first, then everything a plain simulation can add without contradicting them."""
