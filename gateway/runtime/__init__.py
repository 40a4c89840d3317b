"""Build the parts of a gateway, run them in one task group, and stop them in order."""
