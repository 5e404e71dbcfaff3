-- Called by Retention once a pass: $1 how long ended runs are kept, $2 at most so many, $3 slack. The time up to which ended runs are old enough, and the runs with
-- messages up to then that are not delivered or are dead letters; the oldest messages first. A message is a little younger than the end of its run,
-- which the same commit wrote: by less than the slack. Reads the outbox from end to end, which holds what is on its way and nothing else.
select u.until, m.instance, m.at
from (select actors.now() - $1::interval as until) u
left join lateral (
    select x.instance, x.at
    from (select o.instance, o.at from actors.outbox o union all select d.instance, d.at from actors.dead_letters d) x
    where x.at < u.until + $3::interval
    order by x.at limit $2) m on true
order by m.at
