-- Called by JournalWriter after set_timers, in its transaction: timers that fired or that nobody waits for any more.
delete from actors.timers t
using unnest($1::bigint[], $2::integer[]) as c (instance, seq)
where c.instance between 1 and 9223372036854775807
    and t.instance = c.instance and t.seq = c.seq
