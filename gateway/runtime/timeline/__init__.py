"""Record in the timeline what happens to devices, buses, commands and incidents."""
