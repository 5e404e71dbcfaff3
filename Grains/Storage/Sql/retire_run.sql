-- Called by JournalWriter before the start of a further run of the same id. The ended run gives up the id. If it is not the latest, or has
-- not ended, nothing happens, and the start that follows finds the id taken, or finds itself made by an earlier try.
update actors.runs set latest = false where instance = $1 and latest and coalesce(isfinite(ended_at), false)  -- the index of the ended is not for one run
