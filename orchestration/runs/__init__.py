"""The line in one call, and a past order computed again."""
