"""Serve the buses: load adapters, discover and poll devices, and turn them into children with telemetry."""
