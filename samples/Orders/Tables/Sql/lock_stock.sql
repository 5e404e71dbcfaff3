-- Called by OrderTables first in every transaction that moves stock: orders with common skus take turns, in one order of locks,
-- so that they never wait for each other in a circle. What it returns holds to the end of the transaction.
select sku, available from orders.stock where sku = any(@skus) order by sku for update
