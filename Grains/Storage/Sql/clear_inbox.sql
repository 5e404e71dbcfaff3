-- Called by JournalWriter and by a Transaction before advance_runs, in its transaction: letters that get their position in the journal in this commit. While a
-- run goes on only its owner deletes or changes the letters of its workflow (a sweep that marks some holds the run, and sees that it does not),
-- so the address of a row stays what it was a moment ago.
delete from actors.inbox
where ctid = any (array(
    select r.ctid
    from unnest($1::bigint[], $2::text[]) as c (workflow, message_id)
    cross join lateral (select i.ctid from actors.inbox i where i.workflow = c.workflow and i.message_id = c.message_id limit 1) r))
