-- Called for the status of a run: the first $2 messages that were sent to its workflow, $1, and not delivered, and why.
select i.message_id, i.name, i.at, i.reason from actors.inbox i where i.workflow = $1 and i.state = 1 order by i.id limit $2
