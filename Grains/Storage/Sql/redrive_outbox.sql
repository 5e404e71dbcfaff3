-- Called by OutboxTable: $1 destination, $2 at most so many.
select actors.redrive($1, $2)
