-- Called by a handle in the caller's transaction: the run exists when that commits. Null: the id is taken.
select s.run from actors.start_workflow(@namespace, @id, @type, @payload::json, @bytes, @contracts) s
