-- Called by OutboxTable after failures: $1 instances, $2 lanes, $3 ids, $4 attempts so far, $5 back-offs. A repeat changes nothing but the time.
update actors.outbox o
set attempts = greatest(o.attempts, f.attempts), next_at = actors.now() + f.back_off
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::interval[]) as f (instance, lane, id, attempts, back_off)
where o.instance = f.instance and o.lane = f.lane and o.id = f.id
