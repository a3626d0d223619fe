"""What is known: time, decisions, snapshots and the way back from an order line to its causes."""
