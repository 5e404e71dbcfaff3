-- Called by OutboxTable after failures: $1 lanes, $2 ids, $3 attempts so far, $4 back-offs. A repeat changes nothing but the time.
update actors.outbox o
set attempts = greatest(o.attempts, f.attempts), next_at = actors.now() + f.back_off
from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::interval[]) as f (lane, id, attempts, back_off)
where o.lane = f.lane and o.id = f.id
