-- Called by OrderTables when an order ends. Does not look whether it has ended before: reconciliation does.
update orders.orders set state = @state, ended_count = ended_count + 1, ended_at = now() where id = @Id
