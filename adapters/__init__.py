"""The adapters that come with the gateway. It finds them by entry point, as it finds a stranger's."""
