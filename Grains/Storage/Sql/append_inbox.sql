-- Called by a silo that cannot hand a signal to its run at once (parked, or of a type that the silo lacks). False: no such workflow, or it has ended.
-- Null, and nothing is sent: the run belongs to another contract than the caller's, whose full names are $7 (null where it does not tell).
select case
    when exists (
        select from actors.runs w join actors.codes c on c.code = w.code
        where w.namespace = $1 and w.id = $2 and w.latest and not c.contracts && $7::text[])
    then null
    else (select s.accepted from actors.send($1, $2, $3, $4, $5::json, $6) s)
end
