-- Called by the host: every member of deployment $1, the dead ones too. alive_at is by the clock of the silo that wrote it:
-- compare it with nothing but the same silo's earlier value.
select address, port, generation, silo_name, status, alive_at, host_name
from actors.orleans_membership
where deployment_id = $1
order by address, port, generation;
