-- What was last known of each child.
CREATE TABLE child_states (
    child TEXT PRIMARY KEY,
    content TEXT NOT NULL       -- JSON: whether it answers, since when and why, the former changes, how it was identified
) STRICT, WITHOUT ROWID;
CREATE TABLE child_values (
    child TEXT PRIMARY KEY,
    content BLOB NOT NULL       -- compressed JSON: when it last answered, its last values, how often it failed
) STRICT, WITHOUT ROWID;
