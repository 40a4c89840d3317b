"""Device profiles: their grammar, register decoding, SunSpec models and commands."""
