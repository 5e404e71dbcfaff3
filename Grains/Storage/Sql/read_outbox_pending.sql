-- Called by OutboxTable once a poll interval: $1 destinations. Those with rows that have not failed: one index probe each.
select d.name from unnest($1::text[]) as d (name)
where (select o.id from actors.outbox o where o.destination = d.name and o.next_at is null order by o.id limit 1) is not null
