"""Apply licence changes of the cloud to their devices, answer each, and end licences at their time."""
