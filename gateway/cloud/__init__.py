"""The connection to the Xyte cloud: registration, telemetry and commands."""
