-- Called when a silo starts: what it must agree on with all others.
select name, value from actors.settings
