"""Discovery: which protocol a device on a port speaks, which device it is, and what is remembered of a port."""
