"""Collect what helps to find a fault from afar, without any secret, as one archive."""
