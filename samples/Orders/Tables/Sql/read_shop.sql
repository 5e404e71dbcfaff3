-- Called by OrderTables.ShopAsync: the one row of this database.
select id from orders.shop
