-- Called by WorkFinder: letters that came after their run had ended are kept as undelivered, those that came after it was set aside are parked until it
-- is resumed: no sweep comes to them again. $1: the codes that this silo has. Begins at what is unread; the limit bounds what one sweep does.
with late as materialized (
    select m.ctid, w.status
    from unnest($1::integer[]) as c (code)
    cross join lateral (select m.ctid, m.instance from actors.inbox m where m.code = c.code and not m.undelivered and not m.parked offset 0) m
    left join lateral (select w.status from actors.workflows w where w.instance = m.instance limit 1) w on true
    where w.status is null or w.status <> 0
    limit 1000
), undelivered as (
    update actors.inbox i set undelivered = true, reason = 'the run has ended'
    where not i.undelivered and i.ctid = any (array(select l.ctid from late l where l.status is distinct from 3))
)
update actors.inbox i set parked = true where not i.undelivered and i.ctid = any (array(select l.ctid from late l where l.status = 3))
