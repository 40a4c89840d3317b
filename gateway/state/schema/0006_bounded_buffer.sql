-- Version 6: rows that cannot be read or sent are set aside, not lost.
CREATE TABLE set_aside_rows (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    content BLOB NOT NULL, -- the row as JSON, with bytes that are no text escaped
    why TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
