-- Called by Migrator. One migration at a time in a database. The lock ends with the transaction, so it holds through a transaction
-- pooler and dies with its owner; it is a statement of its own, so that what follows sees what the previous holder committed.
select pg_advisory_xact_lock(hashtext('actors'), hashtext('migrations'));
