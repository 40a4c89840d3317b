"""Devices that are heard: which device sent an advertisement, and what is known about it."""
