-- The engine's tables. Twelve nouns: settings (what all silos must agree on), runs (one hot row a run), codes (which contract stands behind
-- a type's name), journal (what happened, in order), message_ids (what was asked before), timers (when to wake), inbox (letters from
-- others), waits (what a run at rest waits for), outbox (messages for the world), dead_letters (those that were given up), silos (who is
-- alive), migrations (how the schema came to be).
--
-- While a run has an owner, only that one writes its runs row and its journal; others append to the inbox. Every commit of an owner
-- compares epoch and position of the runs row and holds its lock to the end of the transaction: that is the fence. Whoever else writes the row
-- (a claim, a resume, the retirement of an ended run, retention) holds the same lock and says so in its file.
--
-- The journal may become the fence later, without a change of tables. So that it stays possible:
-- its key stays (instance, position), and a position that was committed is never used again;
-- runs.position promises only "at least as of the last claim, release or end";
-- the kind of a row that claims a run is reserved (17), and replay passes over it;
-- the journal's row is written before the outbox's, and whoever writes for a run besides its owner writes a row of its journal.
--
-- Functions are of three sorts. Public ones (now, register_type, start_workflow, start_workflows, send, redrive) return records, by whose
-- columns they are asked; what they take later comes at the end, with a default. partition_of, lane_of and next_block say what stored
-- numbers mean: they never change. All others end in the number of their version: silos of a release call them by position, and a later
-- release brings others beside them.

-- The only clock of the engine's statements. Tests replace it to move time.
create function actors.now() returns timestamptz language sql stable parallel safe
    return statement_timestamp();

-- What every silo of this database must agree on; one whose own value differs does not join.
create table actors.settings (
    name  text collate "C" primary key,
    value text not null
);

insert into actors.settings (name, value) values
    ('ranges', '128'),    -- of partitions: each is looked after by one silo
    ('instances', '1'),   -- how their numbers are made: next_block
    ('partitions', '1'),  -- how they follow from a number: partition_of
    ('lanes', '1');       -- how messages are ordered: lane_of

-- The partition of a run, by its instance, and of an outbox lane: which silo's sweep or relay looks after it. Equal to Partition.Of in C#. All
-- parts of an instance count, so that partitions fill evenly however few runs are started.
create function actors.partition_of(number bigint) returns smallint language sql immutable strict parallel safe
    return ((number # (number >> 10) # (number >> 22)) & 1023)::smallint;

-- The outbox lane of a message. With a key it is (destination, key), whatever the run; without one (destination, run), whose numbers lie
-- side by side. Every statement that writes outbox rows calls it: a generated column would be parsed anew in each.
create function actors.lane_of(instance bigint, destination text, key text) returns bigint language sql immutable parallel safe
    return case when key = '' then instance # hashtextextended(destination, 0) else hashtextextended(destination || chr(31) || key, 0) end;

-- Ends a transaction whose group lost a row: nothing of the group is written. Caught by SQLSTATE.
create function actors.require_1(passed bigint, wanted bigint) returns bigint language plpgsql immutable parallel safe as $$
begin
    if passed <> wanted then
        raise exception 'only % of % rows passed the fence', passed, wanted using errcode = 'AC001';
    end if;
    return passed;
end $$;

-- The names that a caller of the functions below gives: refused (AC003) where nothing can have such a name, never passed over in silence.
create function actors.require_name_1(what text, name text, size integer, size_max integer) returns void language plpgsql immutable parallel safe as $$
begin
    if size is null or size not between 1 and size_max or name ~ '[\u0001-\u001f\u007f-\u009f]'  -- not [:cntrl:]: locales differ
        or what = 'namespace' and position('/' in name) > 0 then
        raise exception 'the % is missing, longer than %, or holds control characters%', what, size_max, case what when 'namespace' then ' or /' else '' end
            using errcode = 'AC003';
    end if;
end $$;

-- A row a version of a type that this database has met. A stored name belongs to one contract: silos compare theirs where they join, and
-- claim runs by the numbers of the codes that are theirs. What a row says is never changed, only filled in where nobody had said it yet.
create table actors.codes (
    code      integer generated always as identity primary key,
    type      text collate "C" not null,             -- the stored name
    version   text collate "C" not null default '',  -- as its code declares it; empty: undeclared, any silo with the type runs it
    contracts text[],                                -- full names of the contract, its earlier ones too; null while only SQL has named the type
    shape     text,                                  -- of its methods, as the last silo that joined had it
    unique (type, version)
);

-- Makes the type known before any silo with it has joined, so that SQL may start it. In a transaction of its own: two that name a new type at
-- the same time wait for each other, and so does a silo that joins. Returns the number of the type's undeclared code, and whether this made it.
create function actors.register_type(type text, out code integer, out registered boolean) language plpgsql as $$
begin
    perform actors.require_name_1('workflow type', type, length(type), 200);
    insert into actors.codes (type) values (register_type.type) on conflict do nothing;
    registered := found;
    select c.code into register_type.code from actors.codes c where c.type = register_type.type and c.version = '';
end $$;

-- Instances are numbered by their makers, who take a block of 1,024 numbers at a time and use it for a second at most, so that instances
-- follow time: a second apart, they are in order whoever made them. A number: milliseconds since 2025-01-01 (41 bits), the block (12), the place in it (10).
-- The time goes on within a statement, too: one may start more runs than a millisecond has blocks for.
-- After the clock went back a block may be given out twice: the uuid of a run tells whose a number is.
create sequence actors.instances as bigint;

create function actors.next_block() returns bigint language sql volatile
    return (greatest(1, floor(extract(epoch from actors.now() + (clock_timestamp() - statement_timestamp())) * 1000)::bigint - 1735689600000) << 22)
        | ((nextval('actors.instances') & 4095) << 10);

-- One row a run. No payload, and no indexed column that changes with a step: advancing it is a HOT update.
create table actors.runs (
    instance        bigint      not null primary key,
    workflow        bigint      not null,            -- instance of the id's first run: what is remembered beyond one run hangs on it
    created_at      timestamptz not null,
    ended_at        timestamptz,                     -- null: it has not ended, whatever its status
    run             uuid        not null,
    owner           uuid,                            -- the silo in whose memory the run is, else null
    epoch           integer     not null,            -- raised by every claim
    position        integer     not null,            -- of the last journal row
    code            integer     not null,            -- of its type and version
    status          smallint    not null,            -- 0 running, 1 completed, 2 failed, 3 set aside, 4 cancelled, 5 terminated, 6 timed out,
                                                     -- 7 continued, 8 held, 9 not begun
    flags           smallint    not null default 0,  -- RunFlags in C#: a silo leaves a run alone that has one which it does not know
    crash_count     smallint    not null default 0,  -- claims from dead owners since the last commit
    latest          boolean     not null default true,
    namespace       text collate "C" not null,
    id              text collate "C" not null,
    parent          bigint,                          -- instance of the run that started it
    parent_seq      integer,                         -- of the command there
    closing         smallint,                        -- what its end does to its children
    seed            uuid,                            -- of Random and NewGuid where that is not the run's uuid
    origin          bigint,                          -- instance of the run whose history it began with
    origin_position integer                          -- up to there
) with (fillfactor = 60);

create unique index runs_identity on actors.runs (id, namespace) where latest;  -- the ids differ sooner
create index runs_owner on actors.runs (owner, code) where owner is not null;
create index runs_ended on actors.runs (ended_at, instance) where ended_at is not null;
create index runs_fresh on actors.runs (code) where epoch = 0;  -- started by SQL, and claimed by nobody yet
create index runs_further on actors.runs (workflow) where latest and workflow <> instance;  -- the latest run of a workflow that has had others
-- What people list: the newest of a type, and of a status that is neither running nor completed, of which most are. With conditions that no
-- statement of the engine states: each of them would do, by its second column too, where a run is looked up by its key.
create index runs_code on actors.runs (code, instance) where code::bigint > 0;
create index runs_status on actors.runs (status, instance) where status::integer > 1;

-- What happened to a run, in the order in which its code was told. Replay reads nothing else.
create table actors.journal (
    instance   bigint      not null,
    at         timestamptz not null,            -- of the commit: the workflow's Now after this row
    due_at     timestamptz,                     -- of the timer that this row sets
    position   integer     not null,
    seq        integer     not null,            -- of the command in the code, 0 for what came from outside
    silo       integer,                         -- number of the silo that wrote it; null: SQL did
    took_ms    integer,                         -- of the attempt whose outcome this is
    messages   integer     not null default 0,  -- outbox messages that committed with this row
    kind       smallint    not null,            -- JournalKind in C#
    name       text        not null,            -- of the step, signal, topic or type
    message_id text collate "C",                -- of a signal
    payload    json,                            -- exactly as it was written; SQL reads it
    bytes      bytea,                           -- instead of payload, where a codec made it
    context    json,                            -- what came with a call beside its payload: trace, caller, headers
    writer     text,                            -- who wrote it, if not the owner of the run
    primary key (instance, position)
);

-- The ids by which a caller repeats what it asked, so that it takes effect once, and what a repeat is told: of messages, of the requests of
-- starts and resumes. They belong to the workflow: a further run knows what an earlier one took. Kept while the run that took them is
-- kept, and for a set time beyond it while the workflow has a run.
create table actors.message_ids (
    workflow   bigint      not null,
    instance   bigint      not null,            -- the run that took it
    at         timestamptz not null,
    position   integer     not null,            -- of its journal row
    kind       smallint    not null,            -- MessageIdKind in C#: 0 a message, 1 the request of a start, 2 of a resume
    message_id text collate "C" not null,
    answer     json,                            -- of a start the run's uuid
    primary key (workflow, message_id, kind)
);

-- When to wake a run: its sleeps and waits, the time before which it does not begin, and the one by which it must have ended. By the run's code,
-- so that a sweep passes over none whose type or version its silo lacks; those of runs that nobody may wake (set aside, held, not to be
-- understood by the silo that had it) are parked until somebody may.
create table actors.timers (
    instance bigint      not null,
    due_at   timestamptz not null,
    code     integer     not null,
    seq      integer     not null,                -- of its command; 0: of the run
    kind     smallint    not null default 0,      -- TimerKind in C#: 0 of a command, 1 a deadline, 2 not before
    parked   boolean     not null default false,
    primary key (instance, seq, kind)
);
create index timers_due on actors.timers (code, due_at) where not parked;

-- Letters for a workflow from anyone but the owner of its run: its latest run takes them, so continuing as a new run moves none. A row is deleted
-- in the commit that gives it a position in the journal; what arrives after the end stays as the list of what was not delivered, as long as
-- the ids of messages do. Parked as timers are.
create table actors.inbox (
    id         bigint generated always as identity,
    workflow   bigint      not null,
    at         timestamptz not null,
    sender     bigint,                            -- instance of the run that sent it; null: from outside
    code       integer     not null,
    kind       smallint    not null default 0,    -- LetterKind in C#: 0 a message, 1 a reason to look
    state      smallint    not null default 0,    -- 0 unread, 1 undelivered, 2 parked
    message_id text collate "C" not null,
    name       text        not null,              -- of the signal or topic
    reason     text,                              -- why it is not delivered
    payload    json,
    bytes      bytea,
    context    json,                              -- as in the journal
    primary key (workflow, message_id)
);
create index inbox_unread on actors.inbox (code, id) where state = 0;  -- a run's own are read as state < 1, which is no condition for this index

-- What a run that is in nobody's memory waits for, by the entry that took it out of memory; of several things the one that comes by itself
-- first. While the run has an owner, that is asked instead.
create table actors.waits (
    instance bigint      not null primary key,
    at       timestamptz not null,
    until    timestamptz,
    seq      integer     not null,                -- of the command, 0: none
    others   integer     not null default 0,      -- how many more things it waits for
    lacks    integer,                             -- the journal kind or flag that a silo must know to go on with it
    kind     smallint    not null,                -- WaitingFor in C#
    name     text        not null                 -- of the wait, topic or step
);
create index waits_not_mine on actors.waits (kind, lacks) where lacks is not null;

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
-- old order, and behind what their lanes hold now. Returns how many, and whether it has more.
create function actors.redrive(destination text, most integer default 1000, out moved bigint, out more boolean) language sql as $$
    with oldest as (
        select d.id from actors.dead_letters d where d.destination = redrive.destination order by d.id limit greatest(coalesce(most, 1000), 0) for update
    ), back as (
        delete from actors.dead_letters d using oldest o where d.id = o.id returning d.*
    ), moved as (
        insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload, bytes)
        select b.instance, actors.lane_of(b.instance, b.destination, b.key), b.at, b.ordinal, b.destination, b.topic, b.key, b.payload, b.bytes
        from back b order by b.id
        returning 1
    )
    -- What is moved still stands in the snapshot: it has more, if that many and one stand there.
    select count(*), (select count(*) from (
        select d.id from actors.dead_letters d where d.destination = redrive.destination limit greatest(coalesce(most, 1000), 0) + 1) d) > count(*) from moved
$$;

-- One row a silo process. It renews alive_until; whoever learns that it is dead sets dead_at, and its runs are claimed. Once it owns nothing
-- more it has left: its row stays as long as a journal may name its number, and no statement comes to it again.
create table actors.silos (
    id          uuid        not null primary key,
    started_at  timestamptz not null,
    alive_until timestamptz not null,
    dead_at     timestamptz,
    left_at     timestamptz,
    number      integer     generated always as identity unique,
    name        text        not null,
    address     text        not null,           -- as Orleans writes it: ip:port@generation
    codes       integer[]   not null default '{}'  -- of the types and versions that it runs
);
create index silos_present on actors.silos (alive_until) where left_at is null;

-- A silo that was declared dead, or that nobody knows, starts nothing more (AC004): nobody would look after its runs.
create function actors.require_silo_1(silo uuid) returns boolean language plpgsql stable as $$
begin
    if not exists (select from actors.silos s where s.id = silo and s.dead_at is null) then
        raise exception 'silo % was declared dead', silo using errcode = 'AC004';
    end if;
    return true;
end $$;

-- Ends a transaction whose start has a number that another run has (AC007): the clock went back. Its maker takes another number.
create function actors.require_own_1(own boolean) returns boolean language plpgsql immutable parallel safe as $$
begin
    if not own then
        raise exception 'the number of a new run is another''s' using errcode = 'AC007';
    end if;
    return true;
end $$;

-- What a body has set of its session, and could touch the entry or the commit, is as the session began; the entry's statements take the
-- plans that they have in a group, whatever the tables held when they were prepared. Ends with the transaction.
-- Whatever role, database or the body itself said of synchronous_commit, the commit is on the disk of Postgres before it is answered. Deferred
-- triggers run first: what they set counts as the body's.
create function actors.before_entry_1() returns void language plpgsql as $$
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

-- One run's ordinary transition in one statement: fence, one journal row, at most one message. What advance_runs, append_journal and
-- append_outbox do for a group, for the entry that is alone in it; three statements would cost the server and the silo more than they do.
-- "is not distinct from" is no condition for an index: whatever the statistics say, the run is found by its key, not among its silo's.
create function actors.commit_transition_1(
    for_instance bigint, for_owner uuid, silo_number integer, at_epoch integer, at_position integer, new_status smallint, ends boolean, leaves boolean,
    not_before timestamptz,
    row_seq integer, row_took integer, row_kind smallint, row_messages integer, row_name text, row_message_id text, row_payload json, row_bytes bytea,
    out_ordinal integer, out_destination text, out_topic text, out_key text, out_payload json, out_bytes bytea) returns timestamptz language plpgsql as $$
declare
    its_workflow bigint;
begin
    update actors.runs w
    set position = at_position + 1, status = new_status, crash_count = 0,
        owner = case when leaves then null else w.owner end,
        ended_at = case when ends then actors.now() end
    where w.instance = for_instance and w.epoch = at_epoch and w.position = at_position and w.owner is not distinct from for_owner
        and w.status = 0
        and (not_before is null or not_before <= actors.now())
        and (not ends or (select i.id from actors.inbox i where i.workflow = w.workflow and i.state < 1 limit 1) is null)
    returning w.workflow into its_workflow;
    if not found then
        raise exception 'the row did not pass the fence' using errcode = 'AC001';
    end if;
    insert into actors.journal (instance, at, position, seq, silo, took_ms, kind, messages, name, message_id, payload, bytes)
    values (for_instance, actors.now(), at_position + 1, row_seq, silo_number, row_took, row_kind, row_messages, row_name, row_message_id, row_payload,
        row_bytes);
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

-- One start of a silo in one statement: what start_runs.sql and append_starts.sql do for a group. Returns the time of row 0, of an
-- earlier try if that made the run; null when the id is taken.
create function actors.commit_start_1(
    new_instance bigint, new_workflow bigint, new_run uuid, new_namespace text, new_id text, for_owner uuid, silo_number integer, new_code integer,
    new_type text, row_payload json, row_bytes bytea) returns timestamptz language plpgsql as $$
begin
    perform actors.require_silo_1(for_owner);
    insert into actors.runs (instance, workflow, created_at, run, owner, epoch, position, status, namespace, id, code)
    values (new_instance, new_workflow, actors.now(), new_run, for_owner, 1, 0, 0, new_namespace, new_id, new_code)
    on conflict do nothing;
    if not found then
        return (select j.at from actors.runs w join actors.journal j on j.instance = w.instance and j.position = 0
                where w.instance = new_instance and actors.require_own_1(w.run = new_run));
    end if;
    insert into actors.journal (instance, at, position, seq, silo, kind, name, payload, bytes)
    values (new_instance, actors.now(), 0, 0, silo_number, 0, new_type, row_payload, row_bytes);
    return actors.now();
end $$;

-- Starts many workflows in the caller's transaction, in one pass over the arrays; ids that exist as the same type are left as they are.
-- They are found by the sweep, as runs of epoch 0; with a delay they begin after it. A type that no silo has joined with and that nobody has
-- registered is refused (AC006), and who gives the full names of the contract where the type is another's (AC005).
-- Returns how many it made, and how many existed. A caller may draw the runs' uuids: a tenth of the time is theirs.
create function actors.start_workflows(
    namespace text, type text, ids text[], payloads json[], bytes bytea[] default null, runs uuid[] default null,
    contracts text[] default null, delay interval default null, out made bigint, out existed bigint) language plpgsql as $$
declare
    wanted integer := cardinality(ids);
    uuids uuid[] := runs;
    numbers bigint[];
    its_code actors.codes;
    made_now bigint;
    other text;
    is_delayed boolean := coalesce(delay > interval '0', false);
begin
    if wanted is null or coalesce(cardinality(payloads), cardinality(bytes)) is distinct from wanted or cardinality(bytes) <> wanted
        or cardinality(runs) <> wanted or array_position(runs, null) is not null then
        raise exception 'ids, payloads, bytes and runs that are given must be as many as each other, and no run null: there are %, %, % and %',
            wanted, cardinality(payloads), cardinality(bytes), cardinality(runs) using errcode = 'AC003';
    end if;
    perform actors.require_name_1('namespace', namespace, octet_length(namespace), 100);
    perform actors.require_name_1('workflow type', type, length(type), 200);
    if exists (select from unnest(ids) i where octet_length(i) not between 1 and 200 or i ~ '[\u0001-\u001f\u007f-\u009f]' or i is null) then
        raise exception 'a workflow id is 1 to 200 bytes, without control characters' using errcode = 'AC003';
    end if;
    select * into its_code from actors.codes c where c.type = start_workflows.type and c.version = '';
    if not found then
        raise exception 'no silo has joined with the workflow type %, and nobody has registered it: begin with select * from actors.register_type(%)',
            type, quote_literal(type) using errcode = 'AC006';
    elsif not its_code.contracts && contracts then
        raise exception 'the workflow type % belongs to another contract', type using errcode = 'AC005';
    end if;
    uuids := coalesce(runs, array(select gen_random_uuid() from generate_series(1, wanted)));
    made := 0;
    loop
        numbers := array(
            select b.first + n from (select actors.next_block() as first, i from generate_series(0, (wanted - 1) / 1024) i) b
            cross join lateral generate_series(0, least(1023, wanted - 1 - b.i * 1024)) n);
        begin
            if made > 0 then
                raise unique_violation;  -- Some ids exist by now.
            end if;
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, flags, namespace, id, code)
            select s.instance, s.instance, actors.now(), s.r, is_delayed::integer, 0, case when is_delayed then 9 else 0 end, is_delayed::integer,
                start_workflows.namespace, s.i, its_code.code
            from unnest(numbers, ids, uuids) as s (instance, i, r);
        exception when unique_violation then  -- The way for ids that exist costs twice as much.
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, flags, namespace, id, code)
            select s.instance, s.instance, actors.now(), s.r, is_delayed::integer, 0, case when is_delayed then 9 else 0 end, is_delayed::integer,
                start_workflows.namespace, s.i, its_code.code
            from unnest(numbers, ids, uuids) as s (instance, i, r)
            on conflict do nothing;
        end;
        get diagnostics made_now = row_count;
        made := made + made_now;
        insert into actors.journal (instance, at, position, seq, kind, name, payload, bytes)
        select s.instance, actors.now(), 0, 0, 0, start_workflows.type, s.payload, s.encoded
        from unnest(numbers, payloads, bytes, uuids) as s (instance, payload, encoded, r)
        where made_now = wanted or (select w.run from actors.runs w where w.instance = s.instance limit 1) = s.r;
        if is_delayed then
            insert into actors.timers (instance, due_at, code, seq, kind)
            select s.instance, least(actors.now() + least(delay, interval '8000 years'), '9999-12-30T23:59:59Z'), its_code.code, 0, 2
            from unnest(numbers, uuids) as s (instance, r)
            where made_now = wanted or (select w.run from actors.runs w where w.instance = s.instance limit 1) = s.r;
        end if;
        exit when made = wanted;
        select i into other from unnest(ids) i
        cross join lateral (select w.code from actors.runs w where w.namespace = start_workflows.namespace and w.id = i and w.latest limit 1) w
        cross join lateral (select c.type from actors.codes c where c.code = w.code limit 1) c
        where c.type <> start_workflows.type limit 1;
        if found then
            raise exception 'workflow % exists and is of another type than %', other, start_workflows.type using errcode = 'AC002';
        end if;
        -- Ids that are free although nothing was made: their numbers are other runs', since the clock went back, or retention just took the run.
        exit when not exists (
            select from unnest(ids) i
            where (select w.instance from actors.runs w where w.namespace = start_workflows.namespace and w.id = i and w.latest limit 1) is null);
    end loop;
    existed := wanted - made;
end $$;

-- Starts a workflow in the caller's transaction, after a delay if there is one; a repeat attaches. Returns its run, and whether this made it.
create function actors.start_workflow(
    namespace text, id text, type text, payload json, bytes bytea default null, contracts text[] default null, delay interval default null,
    out run uuid, out started boolean) language plpgsql as $$
begin
    select s.made > 0 into started from actors.start_workflows(
        start_workflow.namespace, start_workflow.type, array[start_workflow.id], array[payload], array[bytes], null, start_workflow.contracts,
        start_workflow.delay) s;
    select w.run into run from actors.runs w where w.namespace = start_workflow.namespace and w.id = start_workflow.id and w.latest;
end $$;

-- True when the transaction under way made the row itself, whatever savepoints it has: a row that one sees, of a transaction that has not
-- ended, can be nobody else's. A row from before its beginning is not asked about.
create function actors.is_own_1(made_by xid, made_at timestamptz) returns boolean language sql volatile as $$
    select case when made_at < now() then false else (
        select case when later < 2147483648 then pg_xact_status((top + later)::text::xid8) = 'in progress' else false end
        from (select top, (made_by::text::bigint - top & 4294967295) as later from (select pg_current_xact_id()::text::bigint as top) t) x) end
$$;

-- Sends a signal or topic message in the caller's transaction; a repeat with the same message id changes nothing. Not accepted: no such
-- workflow, or it has ended. To a run that this transaction started it is told before the first line of the code; nobody else can see that run yet.
create function actors.send(
    namespace text, id text, message_id text, name text, payload json, bytes bytea default null, out accepted boolean, out repeated boolean)
    language plpgsql as $$
declare
    target record;
    started_at timestamptz;
begin
    -- A letter of the engine itself has neither id nor name: a reason to look, and no message.
    perform actors.require_name_1('namespace', namespace, octet_length(namespace), 100), actors.require_name_1('workflow id', id, octet_length(id), 200),
        actors.require_name_1('message id', message_id, length(message_id), 200), actors.require_name_1('name', name, length(name), 200);
    select w.instance, w.workflow, w.code, w.position, w.ended_at, w.status, w.flags, w.epoch = 0 and actors.is_own_1(w.xmin, w.created_at) as own into target
    from actors.runs w where w.namespace = send.namespace and w.id = send.id and w.latest;
    -- Whoever brings it back meanwhile waits for this letter, or this sees that it is back: a parked one would be forgotten.
    if target.ended_at is null and (target.status <> 0 or target.flags & 1 <> 0) then
        select w.ended_at, w.status, w.flags into target.ended_at, target.status, target.flags
        from actors.runs w where w.instance = target.instance for share;
    end if;
    repeated := exists (select from actors.message_ids m where m.workflow = target.workflow and m.message_id = send.message_id and m.kind = 0);
    accepted := repeated or target.instance is not null and target.ended_at is null;
    if repeated or not accepted then
        return;
    elsif target.own then
        update actors.journal j set position = j.position + 1
        where j.instance = target.instance and j.position = target.position returning j.at into started_at;
        insert into actors.journal (instance, at, position, seq, kind, name, message_id, payload, bytes)
        values (target.instance, started_at, target.position, 0, 14, send.name, send.message_id, send.payload, send.bytes);
        insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
        values (target.workflow, target.instance, started_at, target.position, 0, send.message_id);
        update actors.runs w set position = target.position + 1 where w.instance = target.instance;
    else
        insert into actors.inbox as i (workflow, at, code, state, message_id, name, payload, bytes)
        values (target.workflow, actors.now(), target.code, case when target.status <> 0 or target.flags & 1 <> 0 then 2 else 0 end, send.message_id,
            send.name, send.payload, send.bytes)
        on conflict on constraint inbox_pkey do update  -- One that the run could not read is sent again, mended.
            set at = excluded.at, code = excluded.code, state = excluded.state, name = excluded.name, payload = excluded.payload, bytes = excluded.bytes, reason = null
            where i.state = 1;
        repeated := not found;
    end if;
end $$;

-- For people who query, and for a role that may read them alone (docs/OPERATIONS.md): names and columns that stay as they are, whatever
-- becomes of the tables. A later release adds columns at the end.
create function actors.status_name_1(status smallint) returns text language sql immutable strict parallel safe
    return (array['Running', 'Completed', 'Failed', 'SetAside', 'Cancelled', 'Terminated', 'TimedOut', 'Continued', 'Held', 'NotBegun'])[status + 1];

create view actors.runs_view as
    select w.namespace, w.id, w.run, w.instance, w.workflow, c.type, c.version, actors.status_name_1(w.status) as status, w.latest, w.created_at, w.ended_at,
        w.position, w.epoch, w.crash_count, w.owner, s.name as owner_name, w.status as status_number, w.code
    from actors.runs w
    join actors.codes c on c.code = w.code
    left join actors.silos s on s.id = w.owner;

create view actors.waits_view as
    select w.namespace, w.id, w.run, w.instance, c.type, c.version, x.at,
        (array['Condition', 'Message', 'Sleep', 'Attempt', 'LaterBuild', 'LaterSemantics'])[x.kind + 1] as waits_for, x.name, x.until, x.others
    from actors.waits x
    join actors.runs w on w.instance = x.instance
    join actors.codes c on c.code = w.code
    where w.owner is null and w.status = 0
    union all
    select w.namespace, w.id, w.run, w.instance, c.type, c.version, w.created_at, case w.status when 9 then 'Begin' else 'People' end, '', t.due_at, 0
    from actors.runs w
    join actors.codes c on c.code = w.code
    left join actors.timers t on t.instance = w.instance and t.seq = 0 and t.kind = 2
    where w.status in (3, 9) and w.status::integer > 1;

create view actors.inbox_view as
    select w.namespace, w.id, i.workflow, i.message_id, i.name, i.at, (array['Unread', 'Undelivered', 'Parked'])[i.state + 1] as state, i.reason
    from actors.inbox i
    left join lateral (
        select r.namespace, r.id from actors.runs r where r.instance = i.workflow and r.latest
        union all select r.namespace, r.id from actors.runs r where r.workflow = i.workflow and r.workflow <> r.instance and r.latest
        limit 1) w on true
    where i.kind = 0;

create view actors.outbox_view as
    select o.id, o.instance, o.ordinal, o.destination, o.topic, o.key, o.at, o.attempts, o.next_at, null::timestamptz as died_at, null::text as reason
    from actors.outbox o
    union all
    select d.id, d.instance, d.ordinal, d.destination, d.topic, d.key, d.at, d.attempts, null, d.died_at, d.reason
    from actors.dead_letters d;

create view actors.silos_view as
    select s.number, s.id, s.name, s.address, s.started_at, s.alive_until, s.dead_at, s.left_at,
        array(select c.type || case when c.version = '' then '' else ' ' || c.version end from actors.codes c where c.code = any(s.codes) order by 1) as types
    from actors.silos s;
