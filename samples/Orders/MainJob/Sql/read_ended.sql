-- Called by Driver before it starts: the orders whose workflows have ended, with the state of the business row.
select w.id, o.state from actors.workflows w join orders.orders o on o.id = w.id
where w.namespace = 'default' and w.type = 'OrderWorkflow' and w.latest and w.status = 1
