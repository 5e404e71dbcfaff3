-- Called for the status of a run: the first $2 messages that were sent to it and not delivered, and why.
select i.message_id, i.name, i.at, i.reason from actors.inbox i where i.instance = $1 and i.undelivered order by i.id limit $2
