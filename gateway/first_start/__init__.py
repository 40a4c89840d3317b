"""What `run` does without a usable configuration: search for devices, propose a configuration, show what is wrong, wait."""
