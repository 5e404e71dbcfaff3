-- Called by MainJob while it waits for the relay, and by Reconciliation: messages on their way, and those that were given up.
select (select count(*) from actors.outbox)::int as waiting, (select count(*) from actors.dead_letters)::int as dead
