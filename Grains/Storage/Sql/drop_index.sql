-- Called by OnlineIndex, which puts its name for index_name, with an index that is not valid and that nobody builds. Outside of a
-- transaction; it waits for those that use the table, and hinders none. Also drops what an earlier drop has left.
drop index concurrently if exists actors.index_name;
