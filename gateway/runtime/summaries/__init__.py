"""Summarise the state of children, found devices, buses, outbox and cloud for the status page."""
