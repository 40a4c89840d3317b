-- The values of metrics over time, thinned out: `gateway/status/series/` says what the bytes mean.
CREATE TABLE value_children (
    number INTEGER PRIMARY KEY,
    child TEXT NOT NULL UNIQUE, -- its local key
    metrics TEXT NOT NULL       -- JSON: name, unit, kind and words of each metric, by its position in the segments
) STRICT;
CREATE TABLE value_segments (
    key INTEGER PRIMARY KEY,    -- level, number of the segment, number of the child: what is written together lies together
    bins BLOB NOT NULL
) STRICT;
