"""Checks of what the gateway needs on this machine, made before anything is opened; each finding names its fix."""
