-- Called by Claims for a run that was in memory of silos that died, before its code runs here: if this silo dies too, it may be the run's doing.
update actors.runs w set crash_count = least(w.crash_count + 1, 30000)
where w.instance = $1 and w.epoch = $2 and w.owner is not distinct from $3
returning w.crash_count
