"""From a machine without a configuration that can be used to one with it: what is found, proposed, and waited for."""
