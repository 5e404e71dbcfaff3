-- Called by MainJob while it waits for the relay, and by Reconciliation: messages on their way, with what holds them up, and those that were given up.
select count(*)::int as waiting,
       coalesce(max(attempts), 0)::int as attempts,
       coalesce(extract(epoch from max(next_at) - actors.now()), 0)::int as secondstonext,
       count(distinct actors.partition_of(lane) / 8)::int as ranges,
       (select count(*) from actors.dead_letters)::int as dead
from actors.outbox
