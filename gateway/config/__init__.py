"""The configuration file, environment and secret files, and every mistake in them with its line."""
