"""Polling: the plan of reads, illegal addresses, and what is known about each unit."""
