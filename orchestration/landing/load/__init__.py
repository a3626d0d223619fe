"""From rows to canonical tables: everything lands once or is quarantined."""
