"""Tell the cloud about incidents and events, and that the gateway stops."""
