"""The actions on devices that a person takes on the status page: commands, looks, admission, retirement, replacement."""
