"""The rooms of the desk, one module each: parse, call a use case, draw."""
