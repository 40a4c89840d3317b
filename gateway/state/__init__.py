"""Everything that survives a restart, in one SQLite file."""
