"""Framing: frame formats, framers that find frames in a stream of bytes, checksums, and the notation of bytes in profiles."""
