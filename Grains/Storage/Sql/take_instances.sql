-- Called when a silo has used up its block, or that is a second old: the first of the next 1,024 numbers for instances.
select actors.next_block()
