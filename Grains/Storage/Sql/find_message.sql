-- Called for a message or a start that may be a repeat: $1 workflow, $2 id, $3 kind. The run that took it, and what a repeat is told: what
-- was noted, else the run's uuid if it is still there.
select m.instance, coalesce(m.answer, (select to_json(w.run) from actors.runs w where w.instance = m.instance))
from actors.message_ids m where m.workflow = $1 and m.message_id = $2 and m.kind = $3
