"""Fetch the configurations of the gateway and its children, have each applied and watched, and report the result."""
