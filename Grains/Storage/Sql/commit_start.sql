-- Called by JournalWriter for a start that is alone in its group. Returns the instance and the time of its row 0; no time when the id is
-- taken.
select $1::bigint, actors.commit_start($1, $2, $3, $4, $5, $6, $7, $8)
