"""Define profiles of devices that are read over connections: points, formats, standard services, commands and read plans."""
