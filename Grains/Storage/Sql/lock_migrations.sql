-- Called by Migrator at the start of its turn. True for one migrator of a database at a time, and false for the others at once: they ask
-- again in transactions of their own, because an index is never built online while somebody waits in a transaction.
-- The lock ends with the transaction, so it holds through a transaction pooler and dies with its owner. A migrator that stands still gives
-- up its turn after a minute; one that works takes the time it needs.
select pg_try_advisory_xact_lock(hashtext('actors'), hashtext('migrations')),
    set_config('idle_in_transaction_session_timeout', '60s', true), set_config('statement_timeout', '0', true);
