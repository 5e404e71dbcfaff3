-- Called by Migrator. True once migration 0000 is committed.
select to_regclass('actors.migrations') is not null;
