"""Frames in a stream of bytes: delimiters, checksums and notation of bytes."""
