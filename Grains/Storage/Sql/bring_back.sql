-- Called by Claims for a run that was parked and that this silo owns now, $2 at epoch $3, before unpark: whoever sends it a letter waits for this,
-- and sees that it is back.
update actors.runs set flags = flags & ~1 where instance = $1 and owner is not distinct from $2 and epoch = $3
