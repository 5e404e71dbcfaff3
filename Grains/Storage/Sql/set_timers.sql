-- Called by JournalWriter and by a Transaction after advance_runs, in its transaction. One row a timer; a retry moves the one that it had.
insert into actors.timers (instance, seq, due_at, code)
select t.instance, t.seq, t.due_at, w.code
from unnest($1::bigint[], $2::integer[], $3::timestamptz[]) as t (instance, seq, due_at)
cross join lateral (select w.code from actors.runs w where w.instance = t.instance limit 1) w
on conflict (instance, seq, kind) do update set due_at = excluded.due_at, code = excluded.code
