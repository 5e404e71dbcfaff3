-- Called by Reconciliation: of these orders, for whose shipments the driver has the acknowledgement, those that hold no such signal.
select acknowledged.id from unnest(@ids) as acknowledged (id)
where not exists (
    select from actors.runs w
    where w.namespace = 'default' and w.id = acknowledged.id
      and (exists (select from actors.journal j where j.instance = w.instance and j.message_id = @prefix || w.id)
        or exists (select from actors.inbox i where i.workflow = w.workflow and i.message_id = @prefix || w.id)))
