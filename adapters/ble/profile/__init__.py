"""Device profiles of connectable devices: their grammar, GATT value formats, standard services and commands."""
