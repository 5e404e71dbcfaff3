-- Called for the status of a run, and where one is placed: the silos that live and run its code.
select s.address from actors.silos s
where s.left_at is null and s.dead_at is null and s.alive_until > actors.now() and $1 = any(s.codes)
