-- Called by TransactionSessions: the server processes of this silo's transactions ($1 is their application name).
select pid from pg_stat_activity where application_name = $1
