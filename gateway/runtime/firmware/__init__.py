"""Fetch firmware files, and have them installed: on the gateway by a hook program, on a child by its adapter."""
