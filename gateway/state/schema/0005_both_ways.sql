-- Version 5: values around a command; configurations, licences, incidents and events, and the cloud's record of each device.
ALTER TABLE commands ADD COLUMN values_before TEXT;
ALTER TABLE commands ADD COLUMN values_after TEXT;
