-- Called by TransactionSessions: which of these server processes are there.
select pid from pg_stat_activity where pid = any($1)
