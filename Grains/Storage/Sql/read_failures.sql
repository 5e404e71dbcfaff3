-- Called for the status of a run: how often its command $2 has failed, and the last failure.
select count(*) over (), j.payload, j.bytes
from actors.journal j where j.instance = $1 and j.seq = $2 and j.kind = 3
order by j.position desc limit 1
