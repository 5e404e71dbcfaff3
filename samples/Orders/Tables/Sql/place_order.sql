-- Called by OrderTables.PlaceAsync: the order with its items, each sku once. A state other than Placed is an end.
with placed as (
    insert into orders.orders (id, customer, amount_cents, state, ended_count, ended_at)
    values (@Id, @Customer, @AmountCents, @state, case when @state = 'Placed' then 0 else 1 end, case when @state <> 'Placed' then now() end)
    returning id
)
insert into orders.items (order_id, sku, quantity)
select placed.id, item.sku, item.quantity from placed, unnest(@skus, @quantities) as item (sku, quantity)
