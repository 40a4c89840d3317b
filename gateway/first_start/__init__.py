"""Handle a start without a usable configuration: search for devices, propose one, show the mistakes, wait."""
