-- Called by WorkFinder: letters that came after their workflow had ended are kept as undelivered, those that came after its run was parked wait with
-- it: no sweep comes to them again. $1: the codes that this silo has. Begins at what is unread; the limit bounds what one sweep does. Whoever
-- brings a run back, or starts a further one, waits for this and sees the letters, or this sees what it did. "coalesce" is no condition for
-- the index of identities, which would be read whole.
with late as materialized (
    select m.ctid, w.instance
    from unnest($1::integer[]) as c (code)
    cross join lateral (select m.ctid, m.workflow from actors.inbox m where m.code = c.code and m.state = 0 offset 0) m
    left join lateral (
        select w.instance, w.ended_at, w.flags from actors.runs w where w.instance = m.workflow and w.latest
        union all select w.instance, w.ended_at, w.flags from actors.runs w where w.workflow = m.workflow and w.workflow <> w.instance and w.latest
        limit 1) w on true
    where w.instance is null or w.ended_at is not null or w.flags & 1 <> 0
    limit 1000
), held as materialized (
    select w.instance, w.ended_at is not null as ended
    from actors.runs w
    where w.instance = any (array(select l.instance from late l)) and coalesce(w.latest, false) and (w.ended_at is not null or w.flags & 1 <> 0)
    for share
), undelivered as (
    update actors.inbox i set state = 1, reason = 'the run has ended'
    where i.state = 0 and i.ctid = any (array(
        select l.ctid from late l left join held h on h.instance = l.instance where l.instance is null or h.ended))
)
update actors.inbox i set state = 2 where i.state = 0 and i.ctid = any (array(
    select l.ctid from late l join held h on h.instance = l.instance where not h.ended))
