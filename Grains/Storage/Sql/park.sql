-- Called by JournalWriter and by a Transaction after advance_workflows, in its transaction, for runs that are set aside: until somebody resumes them no sweep passes over
-- their timers and letters. Of a flood of letters the sweeps park the rest, portion by portion.
with runs as (
    select r.instance from unnest($1::bigint[]) as r (instance)
), timers as (
    update actors.timers set parked = true where ctid = any (array(
        select t.ctid from runs r cross join lateral (select t.ctid from actors.timers t where t.instance = r.instance offset 0) t))
)
update actors.inbox set parked = true where ctid = any (array(
    select i.ctid from runs r cross join lateral (select i.ctid from actors.inbox i where i.instance = r.instance limit 1000) i))
