"""Polling: one supervisor for each bus, its schedule, its commands and its load."""
