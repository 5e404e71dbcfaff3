create table checkouts (
    id       bigint generated always as identity primary key,
    customer text   not null,
    sku      text   not null,
    quantity int    not null
);
