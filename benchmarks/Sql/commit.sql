-- One commit of one small row: what a single transition of one client cannot be faster than.
\set w random(1, 10000)
update pgb.workflows set position = position + 1 where instance = :w;
