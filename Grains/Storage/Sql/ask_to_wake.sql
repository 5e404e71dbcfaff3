-- Called by JournalWriter when a silo gives runs away that have work to do: letters without a name, by which a sweep finds them at once.
insert into actors.inbox (instance, at, code, message_id, name)
select r.instance, actors.now(), w.code, '', '' from unnest($1::bigint[]) as r (instance)
cross join lateral (select w.code from actors.workflows w where w.instance = r.instance limit 1) w
on conflict do nothing
