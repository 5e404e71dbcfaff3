-- Called by JournalWriter when a silo gives runs away that have work to do: letters that are only a reason to look, by which a sweep finds them at once.
insert into actors.inbox (workflow, at, code, kind, message_id, name)
select w.workflow, actors.now(), w.code, 1, '', '' from unnest($1::bigint[]) as r (instance)
cross join lateral (select w.workflow, w.code from actors.runs w where w.instance = r.instance limit 1) w
on conflict do nothing
