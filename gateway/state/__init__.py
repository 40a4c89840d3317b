"""Keep everything that survives a restart in one SQLite file: records of devices, the outbox, and what adapters remember."""
