-- Called by WorkFinder: letters that came after their workflow had ended are kept as undelivered, those that came after its run was parked wait with
-- it: no sweep comes to them again. $1: the codes that this silo has. Begins at what is unread; the limit bounds what one sweep does. Whoever
-- brings a run back waits for this, and sees the letters, or this sees that it is back.
with late as materialized (
    select m.ctid, w.instance, w.latest is null or w.ended_at is not null as ended
    from unnest($1::integer[]) as c (code)
    cross join lateral (select m.ctid, m.workflow from actors.inbox m where m.code = c.code and m.state = 0 offset 0) m
    left join lateral (
        select w.instance, w.latest, w.ended_at, w.flags from actors.runs w where w.instance = m.workflow and w.latest
        union all select w.instance, w.latest, w.ended_at, w.flags from actors.runs w where w.workflow = m.workflow and w.workflow <> w.instance and w.latest
        limit 1) w on true
    where w.latest is null or w.ended_at is not null or w.flags & 1 <> 0
    limit 1000
), undelivered as (
    update actors.inbox i set state = 1, reason = 'the run has ended'
    where i.state = 0 and i.ctid = any (array(select l.ctid from late l where l.ended))
)
update actors.inbox i set state = 2 where i.state = 0 and i.ctid = any (array(
    select l.ctid from late l
    join (select w.instance from actors.runs w
          where w.instance = any (array(select l.instance from late l where not l.ended)) and w.flags & 1 <> 0 for share) w on w.instance = l.instance
    where not l.ended))
