-- Called when the engine starts: the time by which timers are due.
select actors.now()
