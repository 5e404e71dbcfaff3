-- Called by Reconciliation: every order of the business tables.
select id, customer, amount_cents as amountcents, state, ended_count as endedcount from orders.orders
