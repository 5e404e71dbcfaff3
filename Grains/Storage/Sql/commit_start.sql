-- Called by JournalWriter for a start that is alone in its group, without a message or a request to remember. Returns the instance and the
-- time of its row 0; no time when the id is taken. AC004: this silo was declared dead. AC007: another run has the number.
select $1::bigint, actors.commit_start_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
