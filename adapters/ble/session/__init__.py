"""Visits to connected devices, and the connection slots that they need."""
