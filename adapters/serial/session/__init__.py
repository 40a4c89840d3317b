"""Conversations on one open port: login, requests, answers and echoes."""
