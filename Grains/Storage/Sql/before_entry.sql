-- Called before the entry of a user's transaction, in its last round trip, after "reset role".
select actors.before_entry_1()
