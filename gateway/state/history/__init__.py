"""Keep what was observed over a restart, in an expendable file beside the store."""
