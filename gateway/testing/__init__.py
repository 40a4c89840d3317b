"""For adapter authors and for our own tests: devices, buses and hubs that are not there."""
