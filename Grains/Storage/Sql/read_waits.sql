-- Called for the status of a run that is in nobody's memory: what it waited for when it left.
select x.kind, x.name, x.until, x.seq, x.others, x.lacks
from actors.waits x where x.instance = $1
