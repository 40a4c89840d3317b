-- What happened, in the order in which it happened.
CREATE TABLE timeline (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,       -- seconds since 1970
    kind TEXT NOT NULL,
    child TEXT,             -- the local key of the device, child or not
    device TEXT,            -- its name at that time
    entry TEXT,             -- the [[adapter]] entry and the bus
    bus TEXT,
    text TEXT NOT NULL,
    times INTEGER NOT NULL, -- how many of the kind this row stands for
    subject TEXT            -- the cause of an incident
) STRICT;
CREATE INDEX timeline_of_child ON timeline (child, seq) WHERE child IS NOT NULL;
CREATE INDEX timeline_of_bus ON timeline (bus, seq) WHERE bus IS NOT NULL;
