-- Called when a connection is made on which something is acknowledged: a commit is on the disk of Postgres before its answer comes, whatever role,
-- database or server say. Waiting for standbys too is more than that, and stays.
select set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, false)
