-- Called by Reconciliation: how many outbox messages each run committed. Their ids are run:1, run:2, … in the order of the commits.
select w.id, w.run, w.status, sum(j.messages)::int as messages
from actors.runs w join actors.journal j on j.instance = w.instance
where w.namespace = 'default' and w.code in (select c.code from actors.codes c where c.type = 'OrderWorkflow')
group by w.instance
