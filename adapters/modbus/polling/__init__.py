"""Polling: which blocks of registers to read, and what is known of each unit."""
