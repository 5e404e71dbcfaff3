-- Called by whoever knows that a silo process is dead. Its runs may be claimed from now on, and the transactions that it left open are
-- ended, so that they hold no locks: its backends are found by the name that they carry, which holds the silo's id.
with dead as (
    update actors.silos set dead_at = coalesce(dead_at, actors.now()) where id = $1 returning id
)
select pg_terminate_backend(a.pid) from pg_stat_activity a, dead
where a.application_name = $2 and a.datname = current_database() and a.pid <> pg_backend_pid() and a.usename = current_user
