"""Test tools for adapter authors and for our own tests: simulated devices, buses and hubs."""
