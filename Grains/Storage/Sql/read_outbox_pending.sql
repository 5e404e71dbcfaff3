-- Called by OutboxTable once a poll interval: $1 destinations. Those with rows that have not failed, and those with failed rows that are due
-- (perhaps another relay's, which is gone): two index probes each.
select p.name, p.fresh, p.due
from (select d.name,
             (select o.id from actors.outbox o where o.destination = d.name and o.next_at is null order by o.id limit 1) is not null as fresh,
             (select o.id from actors.outbox o where o.destination = d.name and o.next_at <= actors.now()
              order by o.next_at limit 1) is not null as due
      from unnest($1::text[]) as d (name)) p
where p.fresh or p.due
