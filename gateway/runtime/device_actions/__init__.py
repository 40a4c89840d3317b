"""What a person can do with devices on the status page: commands, looks, admission, retirement, replacement."""
