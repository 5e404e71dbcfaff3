-- Run by OrderTables.CreateAsync at every start, as one transaction; the lock lets one starter at a time through.
select pg_advisory_xact_lock(hashtext('actors sample orders'));

create schema if not exists orders;

-- One row: which shop this database is.
create table if not exists orders.shop (
    only_one boolean not null default true primary key check (only_one),
    id       uuid    not null default gen_random_uuid()
);
insert into orders.shop default values on conflict do nothing;

-- Every piece that was ever stocked is available, reserved or sold. The checks would stop what double booking gets wrong first.
create table if not exists orders.stock (
    sku       text    collate "C" not null primary key,
    stocked   integer not null check (stocked >= 0),
    available integer not null check (available >= 0),
    reserved  integer not null default 0 check (reserved >= 0),
    sold      integer not null default 0 check (sold >= 0)
) with (fillfactor = 50);

-- state: Placed, or the name of an OrderEnd. ended_count counts ends instead of refusing a second one, so that one would be seen.
create table if not exists orders.orders (
    id           text        collate "C" not null primary key,
    customer     text        not null,
    amount_cents integer     not null,
    state        text        not null,
    ended_count  integer     not null default 0,
    placed_at    timestamptz not null default now(),
    ended_at     timestamptz
) with (fillfactor = 70);
create index if not exists orders_placed on orders.orders (id) where state = 'Placed';

create table if not exists orders.items (
    order_id text    collate "C" not null references orders.orders,
    sku      text    collate "C" not null,
    quantity integer not null check (quantity > 0),
    primary key (order_id, sku)
);
