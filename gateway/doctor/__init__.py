"""What keeps a gateway from working on this machine, found out before anything is opened; each with the line that mends it."""
