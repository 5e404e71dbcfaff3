-- Called by Retention: $1 how long ended runs are kept, $2 those that ended later stay, $3 runs that stay, $4 and $5 time and number of the run
-- where the last batch stopped, $6 most runs, $7 most rows of journal (one run at least, however long). Deletes runs with all that they left
-- but messages. The oldest come first, by the index on ended_at; what somebody else holds is passed over. Returns how many it deleted and
-- where it stopped, or nothing when there is nothing more.
with ended as materialized (
    select w.instance, w.ended_at, w.position + 1 as rows
    from actors.workflows w
    where w.ended_at < least(actors.now() - $1::interval::interval, $2) and (w.ended_at, w.instance) > ($4, $5)
    order by w.ended_at, w.instance limit $6
    for update skip locked
), batch as materialized (
    select b.instance, b.ended_at, b.instance <> all ($3) as goes
    from (select e.*, sum(e.rows) over (order by e.ended_at, e.instance) - e.rows as before from ended e) b
    where b.before < $7
), events as (
    delete from actors.journal where instance = any (array(select b.instance from batch b where b.goes))
), letters as (
    delete from actors.inbox where instance = any (array(select b.instance from batch b where b.goes))
), runs as (
    delete from actors.workflows where instance = any (array(select b.instance from batch b where b.goes)) returning 1
)
select (select count(*) from runs), b.ended_at, b.instance
from batch b
order by b.ended_at desc, b.instance desc limit 1
