"""The vocabulary of metrics."""
