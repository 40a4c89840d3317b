"""Everything that faces wires: which adapters there are, keeping each alive, and what their devices become."""
