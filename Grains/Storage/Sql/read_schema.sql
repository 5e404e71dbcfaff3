-- Called by Migrator. Every applied migration, each with the oldest binary that may use the schema. Never empty after migration 0000.
select v.oldest_binary, m.number, m.checksum
from actors.schema_version v cross join actors.migrations m;
