-- Called by OrderTables.PlaceAsync under the locks of lock_stock.
update orders.stock stock set available = available - item.quantity, reserved = reserved + item.quantity
from orders.items item where item.order_id = @Id and stock.sku = item.sku
