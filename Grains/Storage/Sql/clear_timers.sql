-- Called by JournalWriter and by a Transaction after set_timers, in its transaction: timers that fired or that nobody waits for any more. By address: only the
-- owner of a run, which has just proved to be it, writes its timers.
delete from actors.timers
where ctid = any (array(
    select r.ctid
    from unnest($1::bigint[], $2::integer[]) as c (instance, seq)
    cross join lateral (select t.ctid from actors.timers t where t.instance = c.instance and t.seq = c.seq and t.kind = 0 limit 1) r))
