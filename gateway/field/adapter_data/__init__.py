"""Check everything that comes from an adapter, at one boundary: a wrong result costs that result, and nothing else."""
