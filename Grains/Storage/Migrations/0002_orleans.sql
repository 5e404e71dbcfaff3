-- Tables and statements of Orleans' AdoNet providers (10.4): clustering, reminders, grain storage.
--
-- A provider reads its statements from OrleansQuery, unqualified, once at its start: its connections need "Search Path=actors" for that
-- read alone, the statements name their schema. The contract is the row's key, the names and types of the parameters and the names of the
-- result columns (compared without case), so tables and columns are named as elsewhere in this schema. A missing key stops a silo's start.
-- Providers send DateTime of kind Utc as timestamptz, strings as text, TimeSpans as integer or bigint milliseconds; what they read they take for UTC,
-- so times go out without a zone: with one, Npgsql's legacy switch would turn them into local times.
--
-- An etag is a number of one sequence, never a count: a row that is deleted and made again never gets an etag that somebody still holds.

create sequence actors.orleans_etag as integer cycle;

create table actors.orleansquery (
    querykey  text primary key,
    querytext text not null
);

-- One row per cluster (Orleans: cluster id, deployment id). version is the etag of the whole membership: every insert and update of a
-- member raises it in its own statement, taking this row's lock first, and writes nothing where the caller's version is not current.
create table actors.orleans_membership_version (
    deployment_id text collate "C" primary key,
    version       integer not null default 0,
    changed_at    timestamptz not null default now()
);

-- status is Orleans' SiloStatus: 1 Created, 2 Joining, 3 Active, 4 ShuttingDown, 5 Stopping, 6 Dead.
-- started_at and alive_at are by the silo's clock.
create table actors.orleans_membership (
    deployment_id text collate "C" not null references actors.orleans_membership_version,
    address       text collate "C" not null,
    port          integer not null,
    generation    integer not null,
    silo_name     text not null,
    host_name     text not null,
    status        integer not null,
    proxy_port    integer not null,
    suspect_times text,
    started_at    timestamptz not null,
    alive_at      timestamptz not null,
    primary key (deployment_id, address, port, generation)
);

-- grain_hash is Orleans' unsigned hash as a signed integer; the ring's ranges keep their meaning, since the shift is a rotation.
create table actors.orleans_reminders (
    service_id          text collate "C" not null,
    grain_id            text collate "C" not null,
    reminder_name       text collate "C" not null,
    grain_hash          integer not null,
    start_at            timestamptz not null,
    period_milliseconds bigint not null,
    etag                integer not null,
    primary key (service_id, grain_id, reminder_name)
);
create index orleans_reminders_range on actors.orleans_reminders (service_id, grain_hash);

-- The state of one grain; payload is null after a clear. The provider splits a grain key into two numbers and an optional text, and
-- different keys can split alike ('x' and '0+x'): its hash of the whole key tells them apart and so belongs to the primary key. key_text
-- is '+' before the text, or empty without one. The parts of the key together stay below 2,700 bytes, the limit of an index row.
create table actors.orleans_storage (
    service_id  text collate "C" not null,
    grain_type  text collate "C" not null,
    key_hash    integer not null,
    key_n0      bigint not null,
    key_n1      bigint not null,
    key_text    text collate "C" not null,
    etag        integer not null,
    payload     bytea,
    modified_at timestamptz not null default now(),
    primary key (service_id, grain_type, key_hash, key_n0, key_n1, key_text)
);

insert into actors.orleansquery (querykey, querytext) values

-- Clustering. One column, true where the row was made.
('InsertMembershipVersionKey', $query$
with made as (
    insert into actors.orleans_membership_version (deployment_id) values (@DeploymentId)
    on conflict do nothing
    returning 1)
select exists (select from made)
$query$),

-- One column, true where it happened. Members are only added under the lock of the version row, so "not exists" holds once the version
-- matched.
('InsertMembershipKey', $query$
with moved as (
    update actors.orleans_membership_version set version = version + 1, changed_at = now()
    where deployment_id = @DeploymentId and version = @Version
      and not exists (
        select from actors.orleans_membership
        where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation)
    returning deployment_id),
added as (
    insert into actors.orleans_membership
        (deployment_id, address, port, generation, silo_name, host_name, status, proxy_port, started_at, alive_at)
    select deployment_id, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime from moved
    returning 1)
select exists (select from added)
$query$),

-- One column, true where it happened; an unknown member leaves the version alone.
('UpdateMembershipKey', $query$
with moved as (
    update actors.orleans_membership_version set version = version + 1, changed_at = now()
    where deployment_id = @DeploymentId and version = @Version
      and exists (
        select from actors.orleans_membership
        where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation)
    returning deployment_id),
changed as (
    update actors.orleans_membership m set status = @Status, suspect_times = @SuspectTimes, alive_at = @IAmAliveTime
    from moved
    where m.deployment_id = moved.deployment_id and m.address = @Address and m.port = @Port and m.generation = @Generation
    returning 1)
select exists (select from changed)
$query$),

-- Never moves the version: a sign of life is no change of membership.
('UpdateIAmAlivetimeKey', $query$
update actors.orleans_membership set alive_at = @IAmAliveTime
where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation
$query$),

-- One row at least while the cluster is known: without a matching member its columns are null beside the version.
('MembershipReadRowKey', $query$
select v.deployment_id as DeploymentId, m.address as Address, m.port as Port, m.generation as Generation, m.silo_name as SiloName,
    m.host_name as HostName, m.status as Status, m.proxy_port as ProxyPort, m.suspect_times as SuspectTimes,
    m.started_at at time zone 'UTC' as StartTime, m.alive_at at time zone 'UTC' as IAmAliveTime, v.version as Version
from actors.orleans_membership_version v
left join actors.orleans_membership m
    on m.deployment_id = v.deployment_id and m.address = @Address and m.port = @Port and m.generation = @Generation
where v.deployment_id = @DeploymentId
$query$),

('MembershipReadAllKey', $query$
select v.deployment_id as DeploymentId, m.address as Address, m.port as Port, m.generation as Generation, m.silo_name as SiloName,
    m.host_name as HostName, m.status as Status, m.proxy_port as ProxyPort, m.suspect_times as SuspectTimes,
    m.started_at at time zone 'UTC' as StartTime, m.alive_at at time zone 'UTC' as IAmAliveTime, v.version as Version
from actors.orleans_membership_version v
left join actors.orleans_membership m on m.deployment_id = v.deployment_id
where v.deployment_id = @DeploymentId
$query$),

-- Silos of the status that have a gateway: port 0 is a silo without one.
('GatewaysQueryKey', $query$
select address as Address, proxy_port as ProxyPort, generation as Generation
from actors.orleans_membership
where deployment_id = @DeploymentId and status = @Status and proxy_port > 0
$query$),

-- The dead that were last heard of before the given time. Required, but used only by providers that do not know the next one.
('CleanupDefunctSiloEntriesKey', $query$
delete from actors.orleans_membership
where deployment_id = @DeploymentId and status = 6 and greatest(started_at, alive_at) < @IAmAliveTime
$query$),

-- Optional, new in 10.4: the provider chooses the dead rows itself, and deletes each only as it read it.
('CleanupDefunctSiloEntryKey', $query$
delete from actors.orleans_membership
where deployment_id = @DeploymentId and address = @Address and port = @Port and generation = @Generation and status = 6
  and started_at = @StartTime and alive_at = @IAmAliveTime and suspect_times is not distinct from @SuspectTimes
$query$),

('DeleteMembershipTableEntriesKey', $query$
with members as (delete from actors.orleans_membership where deployment_id = @DeploymentId)
delete from actors.orleans_membership_version where deployment_id = @DeploymentId
$query$),

-- Reminders. The result is the new etag.
('UpsertReminderRowKey', $query$
insert into actors.orleans_reminders (service_id, grain_id, reminder_name, grain_hash, start_at, period_milliseconds, etag)
values (@ServiceId, @GrainId, @ReminderName, @GrainHash, @StartTime, @Period, nextval('actors.orleans_etag'))
on conflict (service_id, grain_id, reminder_name) do update
    set grain_hash = excluded.grain_hash, start_at = excluded.start_at, period_milliseconds = excluded.period_milliseconds,
        etag = excluded.etag
returning etag as Version
$query$),

('ReadReminderRowKey', $query$
select grain_id as GrainId, reminder_name as ReminderName, start_at at time zone 'UTC' as StartTime, period_milliseconds as Period, etag as Version
from actors.orleans_reminders
where service_id = @ServiceId and grain_id = @GrainId and reminder_name = @ReminderName
$query$),

('ReadReminderRowsKey', $query$
select grain_id as GrainId, reminder_name as ReminderName, start_at at time zone 'UTC' as StartTime, period_milliseconds as Period, etag as Version
from actors.orleans_reminders
where service_id = @ServiceId and grain_id = @GrainId
$query$),

-- The range (begin, end] of the ring.
('ReadRangeRows1Key', $query$
select grain_id as GrainId, reminder_name as ReminderName, start_at at time zone 'UTC' as StartTime, period_milliseconds as Period, etag as Version
from actors.orleans_reminders
where service_id = @ServiceId and grain_hash > @BeginHash and grain_hash <= @EndHash
$query$),

-- The same where it passes the end of the ring; begin equal to end is the whole ring.
('ReadRangeRows2Key', $query$
select grain_id as GrainId, reminder_name as ReminderName, start_at at time zone 'UTC' as StartTime, period_milliseconds as Period, etag as Version
from actors.orleans_reminders
where service_id = @ServiceId and (grain_hash > @BeginHash or grain_hash <= @EndHash)
$query$),

-- One column, true where the reminder was there with this etag.
('DeleteReminderRowKey', $query$
with gone as (
    delete from actors.orleans_reminders
    where service_id = @ServiceId and grain_id = @GrainId and reminder_name = @ReminderName and etag = @Version
    returning 1)
select exists (select from gone)
$query$),

('DeleteReminderRowsKey', $query$
delete from actors.orleans_reminders where service_id = @ServiceId
$query$),

-- Grain storage. The provider takes "no row" for a conflict of etags, in each of the three that write.
-- A null etag means that the caller has seen no row: then a row that is there wins.
('WriteToStorageKey', $query$
with changed as (
    update actors.orleans_storage set payload = @PayloadBinary, modified_at = now(), etag = nextval('actors.orleans_etag')
    where service_id = @ServiceId and grain_type = @GrainTypeString and key_hash = @GrainIdHash
      and key_n0 = @GrainIdN0 and key_n1 = @GrainIdN1 and key_text = coalesce('+' || @GrainIdExtensionString, '')
      and etag = @GrainStateVersion
    returning etag),
added as (
    insert into actors.orleans_storage (service_id, grain_type, key_hash, key_n0, key_n1, key_text, etag, payload)
    select @ServiceId, @GrainTypeString, @GrainIdHash, @GrainIdN0, @GrainIdN1, coalesce('+' || @GrainIdExtensionString, ''),
        nextval('actors.orleans_etag'), @PayloadBinary
    where @GrainStateVersion is null
    on conflict do nothing
    returning etag)
select etag as NewGrainStateVersion from changed union all select etag from added
$query$),

('ReadFromStorageKey', $query$
select payload as PayloadBinary, etag as Version
from actors.orleans_storage
where service_id = @ServiceId and grain_type = @GrainTypeString and key_hash = @GrainIdHash
  and key_n0 = @GrainIdN0 and key_n1 = @GrainIdN1 and key_text = coalesce('+' || @GrainIdExtensionString, '')
$query$),

-- Keeps the row, so that its next write still proves what it has seen.
('ClearStorageKey', $query$
update actors.orleans_storage set payload = null, modified_at = now(), etag = nextval('actors.orleans_etag')
where service_id = @ServiceId and grain_type = @GrainTypeString and key_hash = @GrainIdHash
  and key_n0 = @GrainIdN0 and key_n1 = @GrainIdN1 and key_text = coalesce('+' || @GrainIdExtensionString, '')
  and etag = @GrainStateVersion
returning etag as NewGrainStateVersion
$query$),

-- Where the option DeleteStateOnClear is set. The result only has to differ from the caller's etag, and 0 is never one.
('DeleteStorageKey', $query$
delete from actors.orleans_storage
where service_id = @ServiceId and grain_type = @GrainTypeString and key_hash = @GrainIdHash
  and key_n0 = @GrainIdN0 and key_n1 = @GrainIdN1 and key_text = coalesce('+' || @GrainIdExtensionString, '')
  and etag = @GrainStateVersion
returning 0 as NewGrainStateVersion
$query$);
