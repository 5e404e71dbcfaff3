-- Called after resume_run or bring_back, in its transaction: $1 namespace, $2 id. A statement of its own, since one that waits for a sender's lock on the
-- run does not see the letter that the sender then commits.
with run as (
    select w.instance, w.workflow from actors.runs w where w.namespace = $1 and w.id = $2 and w.latest and w.status = 0 and w.flags & 1 = 0 limit 1
), timers as (
    update actors.timers set parked = false where instance = (select r.instance from run r) and parked
)
update actors.inbox set state = 0 where workflow = (select r.workflow from run r) and state = 2
