"""Advertisements decoded to readings: parsers, beacons and the description of what each parser understands."""
