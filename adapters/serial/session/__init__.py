"""Conversations on one open port: log-in, requests, answers and echoes."""
