-- Placeholder for the tables of the engine.
select 1;
