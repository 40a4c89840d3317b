"""Discovery: which protocol a device on a port speaks, and which device it is."""
