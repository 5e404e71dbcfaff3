-- Called when a silo starts, after register_codes: $1 codes, $2 full names of contracts, $3 shapes. Fills in a contract that nobody had
-- named, and notes the shape. Returns the contract that stands there.
update actors.codes c set contract = coalesce(c.contract, e.contract), shape = e.shape
from unnest($1::integer[], $2::text[], $3::text[]) as e (code, contract, shape)
where c.code = e.code
returning c.type, c.contract
