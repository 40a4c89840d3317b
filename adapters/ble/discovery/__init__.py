"""Track the devices whose advertisements are received, and identify them."""
