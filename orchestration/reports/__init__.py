"""What a home knows, drawn: dashboard, charts and the report of a replay."""
