-- Called by JournalWriter and by a Transaction after advance_runs, in its transaction: runs that have waited outside of memory and do not any more. By address: only
-- the owner of a run, which has just proved to be it, writes its row.
delete from actors.waits
where ctid = any (array(
    select r.ctid
    from unnest($1::bigint[]) as c (instance)
    cross join lateral (select x.ctid from actors.waits x where x.instance = c.instance limit 1) r))
