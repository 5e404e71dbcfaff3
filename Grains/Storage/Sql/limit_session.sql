-- Called by OnlineIndex before its work ($1 false: no limits, since it may take hours) and after it (true: as the session began). Not for a
-- transaction, because the work has none. A server that does not know a setting has no row for it.
select set_config(name, case when $1 then reset_val else '0' end, false)
from pg_catalog.pg_settings where name in ('statement_timeout', 'lock_timeout', 'transaction_timeout');
