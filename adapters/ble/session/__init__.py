"""Connect to devices, within the limit of connections, to identify them, read them and execute commands."""
