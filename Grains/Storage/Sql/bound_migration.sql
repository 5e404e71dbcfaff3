-- Called by Migrator at the start of each migration's transaction. A migrator that stands still gives up its turn after a minute;
-- one that works, or waits for its turn, takes the time it needs.
select set_config('idle_in_transaction_session_timeout', '60s', true), set_config('statement_timeout', '0', true);
