-- Called by Retention: $1 runs that ended before this are old enough, $2 those of them that stay, $3 and $4 time and number of the run where the last
-- batch stopped, $5 most runs, $6 most rows of journal (one run at least, however long),
-- $7 how long the ids that they took, and letters that were not delivered, are kept at least, while their workflow has a run. Deletes runs with all that they left but messages. The
-- oldest come first, by the index on ended_at; what somebody else holds is passed over. Returns how many it deleted and where it stopped, or
-- nothing when there is nothing more.
with ended as materialized (
    select w.instance, w.workflow, w.namespace, w.id, w.latest, w.ended_at, w.position + 1 as rows
    from actors.runs w
    where w.ended_at < $1 and (w.ended_at, w.instance) > ($3, $4) and w.instance not in (select unnest($2::bigint[]))
    order by w.ended_at, w.instance limit $5
    for update skip locked
), batch as materialized (
    select b.instance, b.workflow, b.namespace, b.id, b.latest, b.ended_at
    from (select e.*, sum(e.rows) over (order by e.ended_at, e.instance) - e.rows as before from ended e) b
    where b.before < $6
), events as (
    delete from actors.journal where instance = any (array(select b.instance from batch b))
), last as (
    -- Workflows of which no run is left. A run that lost its id to a further one in this moment shows that in its own row, which is locked;
    -- this snapshot still has it as the latest.
    select b.workflow, bool_or(b.latest) or (select w.instance from actors.runs w
        where w.namespace = min(b.namespace) and w.id = min(b.id) and w.latest and w.workflow = b.workflow limit 1) is null as is_gone
    from batch b group by b.workflow
), letters as (
    delete from actors.inbox where ctid = any (array(
        select i.ctid
        from last l
        cross join lateral (select i.ctid, i.state, i.at from actors.inbox i where i.workflow = l.workflow offset 0) i
        where l.is_gone or (i.state = 1 and i.at < actors.now() - $7::interval)))
), forgotten as (
    delete from actors.message_ids where ctid = any (array(
        select m.ctid
        from last l
        cross join lateral (select m.ctid, m.instance, m.at from actors.message_ids m where m.workflow = l.workflow offset 0) m
        where l.is_gone or (m.at < actors.now() - $7::interval
            and (m.instance in (select d.instance from batch d) or (select w.instance from actors.runs w where w.instance = m.instance limit 1) is null))))
), runs as (
    delete from actors.runs where instance = any (array(select b.instance from batch b)) returning 1
)
select (select count(*) from runs), b.ended_at, b.instance
from batch b
order by b.ended_at desc, b.instance desc limit 1
