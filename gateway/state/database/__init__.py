"""Work on the SQLite file below the store: connections, versions, locks, checks, snapshots, damaged rows."""
