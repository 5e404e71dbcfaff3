-- Called by JournalWriter after advance_workflows, in its transaction. One row a timer; a retry moves the one that it had.
insert into actors.timers (instance, seq, due_at)
select t.instance, t.seq, t.due_at
from unnest($1::bigint[], $2::integer[], $3::timestamptz[]) as t (instance, seq, due_at)
on conflict (instance, seq) do update set due_at = excluded.due_at
