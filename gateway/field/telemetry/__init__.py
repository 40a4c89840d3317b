"""Telemetry: readings to samples, and when samples go into the outbox."""
