"""Features by HTTP, and rows pushed as they arrive."""
