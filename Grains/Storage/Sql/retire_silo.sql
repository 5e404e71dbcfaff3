-- Called by the host for a silo that is known not to run: $1 deployment id, $2 address, $3 port, $4 generation.
-- In one commit the member becomes Dead (6) and the membership's version moves, so that no silo's pending update, decided on the older
-- membership, can undo it. Returns one boolean: false, with nothing written, where there is no such member or it is Dead already.
with moved as (
    update actors.orleans_membership_version set version = version + 1, changed_at = now()
    where deployment_id = $1
      and exists (
        select from actors.orleans_membership
        where deployment_id = $1 and address = $2 and port = $3 and generation = $4 and status <> 6)
    returning deployment_id),
retired as (
    update actors.orleans_membership m set status = 6
    from moved
    where m.deployment_id = moved.deployment_id and m.address = $2 and m.port = $3 and m.generation = $4 and m.status <> 6
    returning 1)
select exists (select from retired);
