"""Put the configurations of children into effect, and keep the settings of their devices as configured."""
