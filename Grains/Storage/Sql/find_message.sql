-- Called for a message or a start that may be a repeat: $1 workflow, $2 id, $3 kind. The run that took it, and what it was told.
select m.instance, m.answer from actors.message_ids m where m.workflow = $1 and m.message_id = $2 and m.kind = $3
