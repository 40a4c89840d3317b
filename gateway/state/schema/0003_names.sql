-- Version 3: names that people give to devices.
CREATE TABLE names (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;
