-- Called by Reconciliation: orders that ended for want of a shipment although the journal holds the carrier's signal (8) before the
-- time-out (7) that ended the wait.
select w.id
from orders.orders o
join actors.runs w on w.namespace = 'default' and w.id = o.id
join actors.journal signal on signal.instance = w.instance and signal.kind = 8 and signal.name = 'Ship'
join actors.journal timeout on timeout.instance = w.instance and timeout.kind = 7 and timeout.position > signal.position
where o.state = 'NotShipped'
