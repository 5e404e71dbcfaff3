-- Called for a signal to a run that has ended: whether this very message was delivered before the end, so that a repeat of it changes nothing.
select exists (select from actors.journal j where j.instance = $1 and j.message_id = $2)
