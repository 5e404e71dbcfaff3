-- What the Migrator itself stands on. It is applied and recorded like every other migration.
-- A schema made beforehand by an administrator is used as it is, so the migrator needs no right to create schemas then.
-- Creating it may meet another program that does the same, which the migrator's lock does not see.
do $$
begin
    if not exists (select from pg_catalog.pg_namespace where nspname = 'actors') then create schema actors; end if;
exception when duplicate_schema or unique_violation then null;
end
$$;

create table actors.migrations (
    number     integer primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now()
);

-- One row. A migration that binaries before generation N cannot live with sets oldest_binary to N in its own transaction;
-- those binaries then refuse to start and write nothing.
create table actors.schema_version (
    singleton     boolean primary key default true check (singleton),
    oldest_binary integer not null
);

insert into actors.schema_version (oldest_binary) values (1);
