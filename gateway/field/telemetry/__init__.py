"""Turn readings into samples and put them into the outbox; listen to devices that send unprompted."""
