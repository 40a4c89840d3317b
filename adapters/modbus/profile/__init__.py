"""Device profiles: grammar, match rules, value decoding, SunSpec models and commands."""
