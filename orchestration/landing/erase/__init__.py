"""A customer forgotten in bytes and rows."""
