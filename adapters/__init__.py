"""The built-in adapters. The gateway finds them by entry point, like third-party ones."""
