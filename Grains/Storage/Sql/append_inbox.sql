-- Called by a silo that cannot hand a signal to its run at once (set aside, or a type that the silo lacks). False: no such running workflow.
select actors.send($1, $2, $3, $4, $5::json, $6)
