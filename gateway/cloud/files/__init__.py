"""Receive files from servers that are trusted for it, and send files to the cloud."""
