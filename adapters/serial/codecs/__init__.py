"""Codecs for protocols that need more than templates: NMEA 0183, OBIS telegrams and free text."""
