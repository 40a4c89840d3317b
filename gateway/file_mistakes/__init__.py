"""Mistakes in the files that people write, for the configuration and for profiles: in their writing, hidden ones, the words."""
