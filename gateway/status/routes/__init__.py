"""HTTP routes of the status page: HTML, JSON API, health probes and metrics."""
