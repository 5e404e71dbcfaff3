-- Called by BulkStart in the caller's transaction, a chunk at a time: returns how many runs it made; ids that the type has already stay as they are.
select s.made from actors.start_workflows(@namespace, @type, @ids, @payloads::json[], @bytes, @runs, @contracts) s
