"""Decide which found devices become children, and track which of them answer."""
