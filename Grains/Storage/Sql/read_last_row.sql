-- Called to answer for a run that has ended or was set aside: its last journal row of that kind, which holds the result, the error or the reason.
select j.kind, j.payload, j.bytes from actors.journal j where j.instance = $1 and j.kind = $2 order by j.position desc limit 1
