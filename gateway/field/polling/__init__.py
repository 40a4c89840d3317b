"""Poll the buses: a supervisor for each bus, with its schedule, discovery, commands and load."""
