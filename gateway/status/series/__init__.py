"""Keep the values of one metric over time: half minutes in memory, and thinned levels for a day, a week and a year."""
