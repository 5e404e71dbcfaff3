-- Called by OutboxTable once a poll interval: $1 destinations, $2 their floors. Whether they have rows that have not failed, and failed rows that
-- are due (perhaps another relay's, which is gone); and, for OutboxFloor, the lowest id that is left (with more than a thousand failed rows the
-- floor as it was), the oldest transaction under way, the first number that no transaction has yet, and the server's timeline.
select d.name, fresh.id is not null as fresh,
    (select o.id from actors.outbox o where o.destination = d.name and o.next_at <= actors.now() order by o.next_at limit 1) is not null as due,
    least(fresh.id, failed.id) as lowest,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest_transaction,
    -- The snapshot's xmax is the first one after all that have ended; age() counts on to the first that was not given out.
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint + age(pg_snapshot_xmax(pg_current_snapshot())::xid) as next_transaction,
    left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline
from unnest($1::text[], $2::bigint[]) as d (name, floor)
left join lateral (
    select o.id from actors.outbox o where o.destination = d.name and o.next_at is null and o.id >= d.floor order by o.id limit 1) fresh on true
cross join lateral (
    select case when count(*) > 1000 then d.floor else min(f.id) end as id
    from (select o.id from actors.outbox o where o.destination = d.name and o.next_at is not null limit 1001) f) failed
