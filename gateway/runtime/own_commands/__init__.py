"""Execute the commands that the cloud sends to the gateway itself."""
