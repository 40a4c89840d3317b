"""Fetch commands, have them executed at most once, and report their outcomes."""
