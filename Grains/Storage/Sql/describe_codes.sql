-- Called when a silo starts, after register_codes: $1 codes in order, $2 full names of each contract with commas between, $3 shapes. Adds the
-- names by which the contract is known here, and notes the shape. Another contract's row stays as it is.
update actors.codes c
set contracts = array(select distinct n from unnest(coalesce(c.contracts, '{}') || string_to_array(e.contracts, ',')) n order by n), shape = e.shape
from unnest($1::integer[], $2::text[], $3::text[]) as e (code, contracts, shape)
where c.code = e.code and (c.contracts is null or c.contracts && string_to_array(e.contracts, ','))
    and (not coalesce(c.contracts, '{}') @> string_to_array(e.contracts, ',') or c.shape is distinct from e.shape)
