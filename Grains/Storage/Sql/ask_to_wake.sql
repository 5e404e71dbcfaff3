-- Called by JournalWriter when a silo gives runs away that have work to do: mail without a name, by which a sweep finds them at once.
insert into actors.inbox (instance, at, message_id, name)
select r.instance, actors.now(), '', '' from unnest($1::bigint[]) as r (instance)
on conflict do nothing
