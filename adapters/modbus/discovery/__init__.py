"""Discovery: scan the unit ids of a bus, and identify the device at each of them."""
