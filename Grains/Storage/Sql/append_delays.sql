-- Called by JournalWriter after append_starts, in its transaction: the times before which delayed runs do not begin. Only of runs that were made and
-- have not begun; an earlier try of the group may have written them, and its runs may have begun since.
insert into actors.timers (instance, due_at, code, seq, kind)
select d.instance, least(actors.now() + least(d.delay, interval '8000 years'), '9999-12-30T23:59:59Z'), w.code, 0, 2
from unnest($1::bigint[], $2::interval[]) as d (instance, delay)
cross join lateral (select w.code, w.status from actors.runs w where w.instance = d.instance limit 1) w
where w.status = 9
on conflict do nothing
