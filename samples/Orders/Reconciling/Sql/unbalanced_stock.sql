-- Called by Reconciliation: the skus of which pieces were lost or made, or whose reserved and sold pieces are not those of the orders.
select stock.sku || ': ' || stocked || ' stocked, ' || available || ' available, ' || reserved || ' reserved (orders: ' || placed || '), '
    || sold || ' sold (orders: ' || completed || ')'
from orders.stock
cross join lateral (
    select coalesce(sum(item.quantity) filter (where o.state = 'Placed'), 0) as placed,
           coalesce(sum(item.quantity) filter (where o.state = 'Completed'), 0) as completed
    from orders.items item join orders.orders o on o.id = item.order_id where item.sku = stock.sku
) as ordered
where available + reserved + sold <> stocked or reserved <> placed or sold <> completed
order by stock.sku
