-- Called by OrderTables.StockAsync: skus that are there keep what they have.
insert into orders.stock (sku, stocked, available)
select sku, @quantity, @quantity from unnest(@skus) as wanted (sku)
on conflict do nothing
