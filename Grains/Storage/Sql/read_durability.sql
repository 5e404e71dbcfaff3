-- Called when a silo starts: what is off of that without which Postgres itself may lose or damage what it has acknowledged. No session can set it.
select name from (values ('fsync'), ('full_page_writes')) as needed (name) where current_setting(name) = 'off'
