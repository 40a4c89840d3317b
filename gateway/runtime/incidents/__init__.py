"""See what is wrong with buses, devices, store, outbox and clock, and have one incident opened for each cause."""
