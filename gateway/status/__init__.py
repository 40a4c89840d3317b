"""Status page for the operator, and the JSON API, health checks and metrics for programs."""
