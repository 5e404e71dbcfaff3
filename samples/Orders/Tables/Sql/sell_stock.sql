-- Called by OrderTables.CompleteAsync under the locks of lock_stock.
update orders.stock stock set reserved = reserved - item.quantity, sold = sold + item.quantity
from orders.items item where item.order_id = @Id and stock.sku = item.sku
