-- Called by Round: every order that was ever started, whether its workflow has ended, and the state of its business row, if it has one.
select w.id, w.status = 1 as ended, o.state
from actors.runs w left join orders.orders o on o.id = w.id
where w.namespace = 'default' and w.code in (select c.code from actors.codes c where c.type = 'OrderWorkflow') and w.latest
