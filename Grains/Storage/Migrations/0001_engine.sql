-- The engine's tables. Nine nouns: workflows (one hot row a run), codes (which contract stands behind a type's name), journal (what
-- happened, in order), message_ids (what was asked before), timers (when to wake), inbox (letters from others), outbox (messages for the
-- world), dead_letters (those that were given up), silos (who is alive).
--
-- While a run has an owner, only that one writes its workflows row and its journal; others append to the inbox. Every commit of an owner
-- compares epoch and position of the workflows row and holds its lock to the end of the transaction: that is the fence. Whoever else writes the row
-- (a claim, a resume, the retirement of an ended run, retention) holds the same lock and says so in its file.

-- The only clock of the engine's statements. Tests replace it to move time.
create function actors.now() returns timestamptz language sql stable parallel safe
    return statement_timestamp();

-- The partition of a run, by its instance, and of an outbox lane: which silo's sweep or relay looks after it. Equal to Partition.Of in C#.
create function actors.partition_of(number bigint) returns smallint language sql immutable strict parallel safe
    return (number & 1023)::smallint;

-- The outbox lane of a message. With a key it is (destination, key), whatever the run; without one (destination, run), whose numbers lie
-- side by side. Every statement that writes outbox rows calls it: a generated column would be parsed anew in each.
create function actors.lane_of(instance bigint, destination text, key text) returns bigint language sql immutable parallel safe
    return case when key = '' then instance # hashtextextended(destination, 0) else hashtextextended(destination || chr(31) || key, 0) end;

-- Ends a transaction whose group lost a row: nothing of the group is written. Caught by SQLSTATE.
create function actors.require(passed bigint, wanted bigint) returns bigint language plpgsql immutable parallel safe as $$
begin
    if passed <> wanted then
        raise exception 'only % of % rows passed the fence', passed, wanted using errcode = 'AC001';
    end if;
    return passed;
end $$;

-- The names that a caller of the functions below gives: refused (AC003) where nothing can have such a name, never passed over in silence.
create function actors.require_name(what text, name text, size integer, size_max integer) returns void language plpgsql immutable parallel safe as $$
begin
    if size is null or size not between 1 and size_max or name ~ '[\u0001-\u001f\u007f-\u009f]'  -- not [:cntrl:]: locales differ
        or what = 'namespace' and position('/' in name) > 0 then
        raise exception 'a % is 1 to % long, without control characters, a namespace without / too', what, size_max using errcode = 'AC003';
    end if;
end $$;

-- A row a type that this database has met. A stored name belongs to one contract: silos compare theirs where they join, and claim runs by
-- the numbers of the codes that are theirs. What a row says is never changed, only filled in where nobody had said it yet.
create table actors.codes (
    code      integer generated always as identity primary key,
    type      text collate "C" not null unique,  -- the stored name
    contracts text[],                            -- full names of the contract, its earlier ones too; null while only SQL has named the type
    shape     text                               -- of its methods, as the last silo that joined had it
);

-- The code of a type, made where nobody has named it before. Two transactions that name a new type at the same time wait for each other.
create function actors.code_of(named text) returns integer language plpgsql as $$
declare
    found_code integer := (select c.code from actors.codes c where c.type = named);
begin
    if found_code is null then
        insert into actors.codes (type) values (named) on conflict do nothing;
        found_code := (select c.code from actors.codes c where c.type = named);
    end if;
    return found_code;
end $$;

-- Instances are numbered by their makers, who take a thousand numbers at a time.
create sequence actors.instances as bigint increment by 1000;

-- One row a run. No payload, and no indexed column that changes with a step: advancing it is a HOT update.
create table actors.workflows (
    instance    bigint      not null primary key,
    workflow    bigint      not null,            -- instance of the id's first run: what is remembered beyond one run hangs on it
    created_at  timestamptz not null,
    ended_at    timestamptz,
    run         uuid        not null,
    owner       uuid,                            -- the silo in whose memory the run is, else null
    epoch       integer     not null,            -- raised by every claim
    position    integer     not null,            -- of the last journal row
    code        integer     not null,            -- of its type
    status      smallint    not null,            -- 0 running, 1 completed, 2 failed, 3 set aside
    crash_count smallint    not null default 0,  -- claims from dead owners since the last commit
    latest      boolean     not null default true,
    namespace   text collate "C" not null,
    id          text collate "C" not null
) with (fillfactor = 60);

create unique index workflows_identity on actors.workflows (id, namespace) where latest;  -- the ids differ sooner
create index workflows_owner on actors.workflows (owner, code) where owner is not null;
create index workflows_ended on actors.workflows (ended_at, instance) where ended_at is not null;
create index workflows_fresh on actors.workflows (code) where epoch = 0;  -- started by SQL, and claimed by nobody yet

-- What happened to a run, in the order in which its code was told. Replay reads nothing else.
create table actors.journal (
    instance   bigint      not null,
    at         timestamptz not null,            -- of the commit: the workflow's Now after this row
    due_at     timestamptz,                     -- of the timer that this row sets
    position   integer     not null,
    seq        integer     not null,            -- of the command in the code, 0 for what came from outside
    kind       smallint    not null,            -- JournalKind in C#
    messages   integer     not null default 0,  -- outbox messages that committed with this row
    name       text        not null,            -- of the step, signal, topic or type
    message_id text collate "C",                -- of a signal
    payload    json,                            -- exactly as it was written; SQL reads it
    bytes      bytea,                           -- instead of payload, where a codec made it
    primary key (instance, position)
);

-- The ids by which a caller repeats what it asked, so that it takes effect once. They belong to the workflow: a further run knows what
-- an earlier one took. Kept while the run that took them is kept, and for a set time beyond it while the workflow has a run.
create table actors.message_ids (
    workflow   bigint      not null,
    instance   bigint      not null,            -- the run that took it
    at         timestamptz not null,
    position   integer     not null,            -- of its journal row
    kind       smallint    not null,            -- MessageIdKind in C#: 0 a message, 1 the request of a start, 2 of a resume
    message_id text collate "C" not null,
    answer     json,                            -- what a repeat is told: of a start the run's uuid
    primary key (workflow, message_id, kind)
);

-- Timers that have not fired: a row a sleep, however long. By the run's code, so that a sweep passes over none whose type its silo lacks; those of runs
-- that were set aside are parked until somebody resumes them.
create table actors.timers (
    instance bigint      not null,
    due_at   timestamptz not null,
    code     integer     not null,
    seq      integer     not null,
    parked   boolean     not null default false,
    primary key (instance, seq)
);
create index timers_due on actors.timers (code, due_at) where not parked;

-- Letters for a run from anyone but its owner. A row is deleted in the commit that gives it a position in the journal; what arrives
-- after the end stays, marked, as the list of what was not delivered. Parked as timers are.
create table actors.inbox (
    id          bigint generated always as identity,
    instance    bigint      not null,
    at          timestamptz not null,
    code        integer     not null,
    undelivered boolean     not null default false,
    parked      boolean     not null default false,
    message_id  text collate "C" not null,
    name        text        not null,            -- empty: no signal, only a reason to look
    reason      text,                            -- why it stays undelivered
    payload     json,
    bytes       bytea,
    primary key (instance, message_id)
);
create index inbox_unread on actors.inbox (code, id) where not undelivered and not parked;

-- Messages of committed entries that are not delivered yet: a row a message and destination. The message's id is run:ordinal.
-- A lane is delivered in the order of id; its rows stand together in the primary key. Two lanes of a destination whose numbers collide
-- are one: they wait for each other, and nothing else. Lanes of two destinations never meet: whatever reads a lane compares the
-- destination too.
create table actors.outbox (
    id          bigint generated always as identity,  -- drawn in the round trip of the COMMIT: what was committed before it was sent is lower
    instance    bigint      not null,
    lane        bigint      not null,            -- actors.lane_of
    at          timestamptz not null,
    next_at     timestamptz,                     -- not before this, after a failure
    ordinal     integer     not null,            -- counts the messages of the run from 1
    attempts    smallint    not null default 0,
    destination text        not null,
    topic       text        not null,
    key         text        not null,            -- empty: none
    payload     json,
    bytes       bytea,
    primary key (lane, id)
);
create index outbox_fresh on actors.outbox (destination, id) where next_at is null;
create index outbox_retries on actors.outbox (destination, next_at) where next_at is not null;

-- Messages that were given up, with the last error: skipped by the relay until they are driven again.
create table actors.dead_letters (
    id          bigint      not null primary key,
    instance    bigint      not null,
    at          timestamptz not null,
    died_at     timestamptz not null,
    ordinal     integer     not null,
    attempts    smallint    not null,
    destination text        not null,
    topic       text        not null,
    key         text        not null,
    reason      text        not null,
    payload     json,
    bytes       bytea
);
create index dead_letters_destination on actors.dead_letters (destination, id);

-- Moves a destination's oldest dead letters back, at most so many, with all their attempts before them. They get new ids: they go in their
-- old order, and behind what their lanes hold now. Returns how many.
create function actors.redrive(destination text, most integer default 1000) returns bigint language sql as $$
    with oldest as (
        select d.id from actors.dead_letters d where d.destination = redrive.destination order by d.id limit most for update
    ), back as (
        delete from actors.dead_letters d using oldest o where d.id = o.id returning d.*
    ), moved as (
        insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload, bytes)
        select b.instance, actors.lane_of(b.instance, b.destination, b.key), b.at, b.ordinal, b.destination, b.topic, b.key, b.payload, b.bytes
        from back b order by b.id
        returning 1
    )
    select count(*) from moved
$$;

-- One row a silo process. It renews alive_until; whoever learns that it is dead sets dead_at, and its runs are claimed.
create table actors.silos (
    id          uuid        not null primary key,
    started_at  timestamptz not null,
    alive_until timestamptz not null,
    dead_at     timestamptz,
    name        text        not null,
    address     text        not null            -- as Orleans writes it: ip:port@generation
);

-- A silo that was declared dead, or that nobody knows, starts nothing more (AC004): nobody would look after its runs.
create function actors.require_silo(silo uuid) returns boolean language plpgsql stable as $$
begin
    if not exists (select from actors.silos s where s.id = silo and s.dead_at is null) then
        raise exception 'silo % was declared dead', silo using errcode = 'AC004';
    end if;
    return true;
end $$;

-- What a body has set of its session, and could touch the entry or the commit, is as the session began; the entry's statements take the
-- plans that they have in a group, whatever the tables held when they were prepared. Ends with the transaction.
-- Whatever role, database or the body itself said of synchronous_commit, the commit is on the disk of Postgres before it is answered. Deferred
-- triggers run first: what they set counts as the body's.
create function actors.before_entry() returns void language plpgsql as $$
begin
    set constraints all immediate;
    reset client_encoding;
    reset search_path;
    reset statement_timeout;
    reset lock_timeout;
    if current_setting('transaction_timeout', true) <> '0' then  -- PostgreSQL 17
        execute 'reset transaction_timeout';
    end if;
    reset synchronous_commit;
    perform set_config('synchronous_commit', case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true),
        set_config('plan_cache_mode', 'force_generic_plan', true), set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),
        set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true), set_config('enable_bitmapscan', 'off', true);
end $$;

-- One run's ordinary transition in one statement: fence, one journal row, at most one message. What advance_workflows, append_journal and
-- append_outbox do for a group, for the entry that is alone in it; three statements would cost the server and the silo more than they do.
-- "is not distinct from" is no condition for an index: whatever the statistics say, the run is found by its key, not among its silo's.
create function actors.commit_transition(
    for_instance bigint, for_owner uuid, at_epoch integer, at_position integer, new_status smallint, leaves boolean, not_before timestamptz,
    row_seq integer, row_kind smallint, row_messages integer, row_name text, row_message_id text, row_payload json, row_bytes bytea,
    out_ordinal integer, out_destination text, out_topic text, out_key text, out_payload json, out_bytes bytea) returns timestamptz language plpgsql as $$
declare
    its_workflow bigint;
begin
    update actors.workflows w
    set position = at_position + 1, status = new_status, crash_count = 0,
        owner = case when leaves then null else w.owner end,
        ended_at = case when new_status in (1, 2) then actors.now() end
    where w.instance = for_instance and w.epoch = at_epoch and w.position = at_position and w.owner is not distinct from for_owner and w.status = 0
        and (not_before is null or not_before <= actors.now())
        and (new_status not in (1, 2) or not exists (select from actors.inbox i where i.instance = for_instance and not i.undelivered))
    returning w.workflow into its_workflow;
    if not found then
        raise exception 'the row did not pass the fence' using errcode = 'AC001';
    end if;
    insert into actors.journal (instance, at, position, seq, kind, messages, name, message_id, payload, bytes)
    values (for_instance, actors.now(), at_position + 1, row_seq, row_kind, row_messages, row_name, row_message_id, row_payload, row_bytes);
    if row_message_id is not null then
        insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
        values (its_workflow, for_instance, actors.now(), at_position + 1, 0, row_message_id);
    end if;
    if out_ordinal is not null then
        insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload, bytes)
        values (for_instance, actors.lane_of(for_instance, out_destination, out_key), actors.now(), out_ordinal, out_destination, out_topic,
            out_key, out_payload, out_bytes);
    end if;
    return actors.now();
end $$;

-- One start of a silo in one statement: what start_workflows.sql and append_starts.sql do for a group. Returns the time of row 0, of an
-- earlier try if that made the run; null when the id is taken.
create function actors.commit_start(
    new_instance bigint, new_workflow bigint, new_run uuid, new_namespace text, new_id text, for_owner uuid, new_code integer, new_type text,
    row_payload json, row_bytes bytea) returns timestamptz language plpgsql as $$
begin
    perform actors.require_silo(for_owner);
    insert into actors.workflows (instance, workflow, created_at, run, owner, epoch, position, status, namespace, id, code)
    values (new_instance, new_workflow, actors.now(), new_run, for_owner, 1, 0, 0, new_namespace, new_id, new_code)
    on conflict do nothing;
    if not found then
        return (select j.at from actors.journal j where j.instance = new_instance and j.position = 0);
    end if;
    insert into actors.journal (instance, at, position, seq, kind, name, payload, bytes)
    values (new_instance, actors.now(), 0, 0, 0, new_type, row_payload, row_bytes);
    return actors.now();
end $$;

-- Starts many workflows in the caller's transaction, in one pass over the arrays; ids that exist as the same type are left as they are.
-- They are found by the sweep, as runs of epoch 0. Who gives the full names of the contract is refused (AC005) where the type is another's.
-- Returns how many it made. A caller may draw the runs' uuids: a tenth of the time is theirs.
create function actors.start_workflows(
    namespace text, type text, ids text[], payloads json[], bytes bytea[] default null, runs uuid[] default null,
    contracts text[] default null) returns bigint language plpgsql as $$
declare
    wanted integer := cardinality(ids);
    blocks bigint[] := array(select nextval('actors.instances') from generate_series(0, (cardinality(ids) - 1) / 1000));
    made bigint;
    its_code integer;
    other text;
begin
    if wanted is null or coalesce(cardinality(payloads), cardinality(bytes)) is distinct from wanted or cardinality(bytes) <> wanted
        or cardinality(runs) <> wanted then
        raise exception 'there are % ids, but % payloads, % encoded, % runs', wanted, cardinality(payloads), cardinality(bytes), cardinality(runs) using errcode = 'AC003';
    end if;
    perform actors.require_name('namespace', namespace, octet_length(namespace), 100);
    perform actors.require_name('workflow type', type, length(type), 200);
    if exists (select from unnest(ids) i where octet_length(i) not between 1 and 200 or i ~ '[\u0001-\u001f\u007f-\u009f]' or i is null) then
        raise exception 'a workflow id is 1 to 200 bytes, without control characters' using errcode = 'AC003';
    end if;
    its_code := actors.code_of(start_workflows.type);
    if not (select c.contracts from actors.codes c where c.code = its_code) && contracts then
        raise exception 'the workflow type % belongs to another contract', type using errcode = 'AC005';
    end if;
    if contracts is not null then
        update actors.codes c set contracts = start_workflows.contracts where c.code = its_code and c.contracts is null;
    end if;
    begin
        insert into actors.workflows (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
        select s.instance, s.instance, actors.now(), coalesce(s.r, gen_random_uuid()), 0, 0, 0, start_workflows.namespace, s.i, its_code
        from (select blocks[(n + 999) / 1000] + (n - 1) % 1000 as instance, i, r
              from unnest(ids, runs) with ordinality as u (i, r, n)) s;
    exception when unique_violation then  -- The way for ids that exist costs twice as much.
        insert into actors.workflows (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
        select s.instance, s.instance, actors.now(), coalesce(s.r, gen_random_uuid()), 0, 0, 0, start_workflows.namespace, s.i, its_code
        from (select blocks[(n + 999) / 1000] + (n - 1) % 1000 as instance, i, r
              from unnest(ids, runs) with ordinality as u (i, r, n)) s
        on conflict do nothing;
    end;
    get diagnostics made = row_count;
    if made < wanted then
        select i into other from unnest(ids) i
        cross join lateral (select w.code from actors.workflows w where w.namespace = start_workflows.namespace and w.id = i and w.latest limit 1) w
        where w.code <> its_code limit 1;
        if found then
            raise exception 'workflow % exists and is not a %', other, start_workflows.type using errcode = 'AC002';
        end if;
    end if;
    insert into actors.journal (instance, at, position, seq, kind, name, payload, bytes)
    select blocks[(n + 999) / 1000] + (n - 1) % 1000, actors.now(), 0, 0, 0, start_workflows.type, s.payload, s.encoded
    from unnest(payloads, bytes) with ordinality as s (payload, encoded, n)
    where made = wanted
        or (select w.instance from actors.workflows w where w.instance = blocks[(n + 999) / 1000] + (n - 1) % 1000 limit 1) is not null;
    return made;
end $$;

-- Starts a workflow in the caller's transaction; a repeat attaches. Returns the run.
create function actors.start_workflow(
    namespace text, id text, type text, payload json, bytes bytea default null, contracts text[] default null) returns uuid language plpgsql as $$
begin
    perform actors.start_workflows(
        start_workflow.namespace, start_workflow.type, array[start_workflow.id], array[payload], array[bytes], null, start_workflow.contracts);
    return (select w.run from actors.workflows w where w.namespace = start_workflow.namespace and w.id = start_workflow.id and w.latest);
end $$;

-- True when the transaction under way made the row itself, whatever savepoints it has: a row that one sees, of a transaction that has not
-- ended, can be nobody else's. A row from before its beginning is not asked about.
create function actors.is_own(made_by xid, made_at timestamptz) returns boolean language sql volatile as $$
    select case when made_at < now() then false else (
        select case when later < 2147483648 then pg_xact_status((top + later)::text::xid8) = 'in progress' else false end
        from (select top, (made_by::text::bigint - top & 4294967295) as later from (select pg_current_xact_id()::text::bigint as top) t) x) end
$$;

-- Sends a signal or topic message in the caller's transaction; a repeat with the same message id changes nothing. False: no such running
-- workflow. To a run that this transaction started it is told before the first line of the code; nobody else can see that run yet.
create function actors.send(
    namespace text, id text, message_id text, name text, payload json, bytes bytea default null) returns boolean language plpgsql as $$
declare
    target record;
    started_at timestamptz;
begin
    -- A letter of the engine itself has neither id nor name: a reason to look, and no message.
    perform actors.require_name('namespace', namespace, octet_length(namespace), 100), actors.require_name('workflow id', id, octet_length(id), 200),
        actors.require_name('message id', message_id, length(message_id), 200), actors.require_name('name', name, length(name), 200);
    select w.instance, w.workflow, w.code, w.position, w.status, w.epoch = 0 and actors.is_own(w.xmin, w.created_at) as own into target
    from actors.workflows w where w.namespace = send.namespace and w.id = send.id and w.latest;
    if target.status = 3 then  -- Whoever resumes it meanwhile waits for this letter, or this sees that it was resumed: a parked one would be forgotten.
        select w.status into target.status from actors.workflows w where w.instance = target.instance for share;
    end if;
    if exists (select from actors.message_ids m where m.workflow = target.workflow and m.message_id = send.message_id and m.kind = 0) then
        return true;
    elsif target.status is null or target.status not in (0, 3) then
        return false;
    elsif target.own then
        update actors.journal j set position = j.position + 1
        where j.instance = target.instance and j.position = target.position returning j.at into started_at;
        insert into actors.journal (instance, at, position, seq, kind, name, message_id, payload, bytes)
        values (target.instance, started_at, target.position, 0, 14, send.name, send.message_id, send.payload, send.bytes);
        insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
        values (target.workflow, target.instance, started_at, target.position, 0, send.message_id);
        update actors.workflows w set position = target.position + 1 where w.instance = target.instance;
    else
        insert into actors.inbox as i (instance, at, code, parked, message_id, name, payload, bytes)
        values (target.instance, actors.now(), target.code, target.status = 3, send.message_id, send.name, send.payload, send.bytes)
        on conflict on constraint inbox_pkey do update  -- One that the run could not read is sent again, mended.
            set at = excluded.at, parked = excluded.parked, name = excluded.name, payload = excluded.payload, bytes = excluded.bytes, undelivered = false,
                reason = null
            where i.undelivered;
    end if;
    return true;
end $$;
