"""The way to the page: its sockets, the bounds of its connections, and its certificate."""
