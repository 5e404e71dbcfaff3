-- Called by a handle in the caller's transaction: the letter is there when that commits. Not true: there is no such running workflow.
select s.accepted from actors.send(@namespace, @id, @message, @name, @payload::json, @bytes) s
