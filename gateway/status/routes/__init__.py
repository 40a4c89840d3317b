"""HTTP routes of the status page: HTML pages, JSON API, health checks and metrics."""
