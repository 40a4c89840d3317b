"""Serve the life of a child in the cloud: moved under a new gateway, replaced, retired, registered twice."""
