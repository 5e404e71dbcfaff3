-- Called before the entry of a user's transaction, in its last round trip: the entry's statements take the plans that they have
-- in a group, whatever the tables held when they were prepared. Ends with the transaction.
-- Whatever role, database or the body itself said of synchronous_commit, the commit is on the disk of Postgres before it is answered.
select set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
    set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true)
