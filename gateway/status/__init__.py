"""What the operator sees: the status page, the JSON API behind it, health and metrics."""
