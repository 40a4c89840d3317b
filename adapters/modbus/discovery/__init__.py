"""Discovery: which units answer on a bus, and which device each of them is."""
