-- Called by JournalWriter before the start of a further run of the same id. The ended run gives up the id, or, if it is not the
-- latest or has not ended, the whole transaction fails (AC001).
with retired as (
    update actors.workflows set latest = false where instance = $1 and latest and status in (1, 2) returning 1
)
select actors.require(count(*), 1) from retired
