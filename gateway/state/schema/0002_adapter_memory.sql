-- Version 2: what adapters remember between two runs.
CREATE TABLE notes (
    entry TEXT NOT NULL,
    name TEXT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (entry, name)
) STRICT;
