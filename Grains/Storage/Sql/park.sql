-- Called by JournalWriter and by a Transaction after advance_runs, in its transaction, for runs that nobody may wake: no sweep passes over
-- their timers and letters until somebody brings them back (unpark). Of a flood of letters the sweeps park the rest, portion by portion.
with runs as (
    update actors.runs w set flags = w.flags | 1
    from unnest($1::bigint[]) as r (instance) where r.instance between 1 and 9223372036854775807 and w.instance = r.instance
    returning w.instance, w.workflow
), timers as (
    update actors.timers set parked = true where ctid = any (array(
        select t.ctid from runs r cross join lateral (select t.ctid from actors.timers t where t.instance = r.instance offset 0) t))
)
update actors.inbox set state = 2 where ctid = any (array(
    select i.ctid from runs r
    cross join lateral (select i.ctid, i.state from actors.inbox i where i.workflow = r.workflow and i.state < 1 limit 1000) i))
