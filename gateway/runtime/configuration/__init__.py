"""Put configurations of the cloud into effect: that of the gateway, those of its children, and the watch over both."""
