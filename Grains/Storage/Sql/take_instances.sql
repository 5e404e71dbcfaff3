-- Called when a silo has used up its block: the first of the next thousand numbers for instances, never given out again.
select nextval('actors.instances')
