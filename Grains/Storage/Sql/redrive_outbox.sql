-- Called by OutboxTable: $1 destination, $2 at most so many.
select r.moved from actors.redrive($1, $2) r
