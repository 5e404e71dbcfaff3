-- Called by OnlineIndex. Whether index $1 of table $2 may be used; no row where there is none. False: its build did not come to its end.
select i.indisvalid
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid and c.relname = $1
join pg_catalog.pg_class t on t.oid = i.indrelid and t.relname = $2
join pg_catalog.pg_namespace n on n.oid = t.relnamespace and n.nspname = 'actors';
