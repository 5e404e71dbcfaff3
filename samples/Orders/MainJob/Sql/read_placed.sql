-- Called by Carrier ten times a second: orders that may wait for a shipment.
select id from orders.orders where state = 'Placed'
