-- Called by a handle in the caller's transaction: the run exists when that commits. Of an id that is taken, the run that has it.
select s.run from actors.start_workflow(@namespace, @id, @type, @payload::json, @bytes, @contracts) s
