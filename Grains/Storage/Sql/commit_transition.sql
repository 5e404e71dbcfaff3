-- Called by JournalWriter, and by a Transaction before its COMMIT, for an entry that is alone, with one row, at most one message, and nothing
-- else. Fails with AC001 as advance_runs does; returns the time of the row.
select actors.commit_transition_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
