-- Called by the engine after resume_workflow, in its transaction: $1 namespace, $2 id. A statement of its own, since one that waits for a sender's lock on the
-- run does not see the letter that the sender then commits.
with run as (
    select w.instance from actors.workflows w where w.namespace = $1 and w.id = $2 and w.latest and w.status = 0 limit 1
), timers as (
    update actors.timers set parked = false where instance = (select r.instance from run r) and parked
)
update actors.inbox set parked = false where instance = (select r.instance from run r) and parked
