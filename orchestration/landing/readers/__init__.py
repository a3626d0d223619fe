"""From a file's bytes to text rows, one module a format."""
