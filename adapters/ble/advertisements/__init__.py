"""Decode advertisements into readings: the parsers, and the files that describe which devices each parser understands."""
