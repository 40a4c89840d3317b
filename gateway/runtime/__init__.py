"""The running gateway: its parts built, run in one task group and stopped in order."""
