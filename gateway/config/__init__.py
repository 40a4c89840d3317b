"""Load the configuration from a TOML file, the environment and secret files, and report every mistake with its line."""
