-- Called by JournalWriter after advance_runs, in its transaction: what runs that leave memory wait for, one row a run.
insert into actors.waits (instance, at, until, seq, others, lacks, kind, name)
select x.instance, actors.now(), x.until, x.seq, x.others, x.lacks, x.kind, x.name
from unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::integer[], $5::integer[], $6::smallint[], $7::text[])
    as x (instance, until, seq, others, lacks, kind, name)
on conflict (instance) do update set at = excluded.at, until = excluded.until, seq = excluded.seq, others = excluded.others, lacks = excluded.lacks,
    kind = excluded.kind, name = excluded.name
