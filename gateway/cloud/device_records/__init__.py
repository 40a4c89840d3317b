"""Fetch what the cloud has on record about each device when a flag says that it changed."""
