-- Tables for pgbench that are shaped like the engine's: a hot row a workflow, a row a step, a row a message.
drop schema if exists pgb cascade;
create schema pgb;
create table pgb.workflows (instance bigint primary key, epoch int not null, position int not null, status smallint not null, owner uuid, id text) with (fillfactor = 60);
create table pgb.journal (instance bigint, at timestamptz not null, position int, seq int not null, kind smallint not null, name text not null, payload json, primary key (instance, position));
create table pgb.outbox (id bigint generated always as identity primary key, instance bigint not null, at timestamptz not null, ordinal int not null, destination text not null, key text not null, payload json);
insert into pgb.workflows select n, 1, 0, 0, gen_random_uuid(), 'workflow-' || n from generate_series(1, 10000) n;
analyze pgb.workflows;
