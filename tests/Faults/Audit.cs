namespace Actors.Faults;

/// <summary>
/// What the campaign writes down inside of the database, in the commits of the engine itself: each change of a run's place with the name of
/// the session that made it, and each message. Numbers are drawn under the run's row lock, so within a run their order is that of the
/// commits.
/// </summary>
internal static class Audit
{
    public const string Sql = """
        create table public.audit (
            n bigint generated always as identity primary key, instance bigint, run uuid, writer text,
            old_owner uuid, owner uuid, old_epoch int, epoch int, old_position int, position int, old_status smallint, status smallint);
        create function audit_workflow() returns trigger language plpgsql as $$
        begin
            if (new.owner, new.epoch, new.position, new.status) is distinct from (old.owner, old.epoch, old.position, old.status) then
                insert into public.audit (instance, run, writer, old_owner, owner, old_epoch, epoch, old_position, position, old_status, status)
                values (new.instance, new.run, current_setting('application_name'), old.owner, new.owner, old.epoch, new.epoch, old.position, new.position, old.status, new.status);
            end if;
            return null;
        end $$;
        create trigger audit after update on actors.runs for each row execute function audit_workflow();

        create table public.rewritten (what text);
        create function audit_journal() returns trigger language plpgsql as $$
        begin
            if tg_op = 'DELETE' or old::text <> new::text then -- A start whose answer was lost writes its row again, as it is.
                insert into public.rewritten values (tg_op || ' of position ' || old.position || ' of instance ' || old.instance);
            end if;
            return null;
        end $$;
        create trigger audit after update or delete on actors.journal for each row execute function audit_journal();

        create table public.published (run uuid, ordinal int);
        create function audit_outbox() returns trigger language plpgsql as $$
        begin
            insert into public.published (run, ordinal) select w.run, new.ordinal from actors.runs w where w.instance = new.instance;
            return null;
        end $$;
        create trigger audit after insert on actors.outbox for each row execute function audit_outbox();
        """;
}
