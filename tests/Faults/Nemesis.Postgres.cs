using System.Diagnostics;
using Npgsql;

namespace Actors.Faults;

/// <summary>What is done to Postgres and inside it.</summary>
internal sealed partial class Nemesis
{
    private Task EndBackendsAsync(double share = 1) => rig.ExecuteAsync(
        FormattableString.Invariant(
            $"select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'actors %' and random() < {share}"));

    private async Task BackendsAsync()
    {
        for (var i = _random.Next(1, 6); i > 0; i--)
        {
            await EndBackendsAsync(0.5);
            await Task.Delay(_random.Next(10, 300));
        }
    }

    private async Task RestartAsync()
    {
        await rig.Servers.StopAsync();
        await Task.Delay(_random.Next(0, 3000));
        await rig.Servers.StartAsync();
    }

    private Task PostmasterAsync() => SignalPostmasterAsync("KILL");

    private Task ImmediateShutdownAsync() => SignalPostmasterAsync("QUIT");

    private async Task SignalPostmasterAsync(string signal)
    {
        await rig.Servers.EndAsync(signal);
        await Task.Delay(_random.Next(0, 3000));
        await rig.Servers.StartAsync();
    }

    private Task FailOverAsync() => rig.Servers.FailOverAsync(TimeSpan.FromMilliseconds(_random.Next(500, 3000)));

    private Task DiskFullAsync() => rig.Servers.FillDiskAsync(TimeSpan.FromMilliseconds(_random.Next(500, 6000)));

    private Task TableLockAsync()
    {
        var table = new[] { "actors.runs", "actors.journal", "actors.outbox", "accounts" }[_random.Next(4)];
        return InTransactionAsync($"lock table {table} in share row exclusive mode", 300, 4000);
    }

    /// <summary>A snapshot and a transaction number that nothing may pass: vacuum removes nothing, and what waits for older transactions
    /// waits.</summary>
    private Task OldTransactionAsync(int leastMs, int mostMs) =>
        InTransactionAsync("set transaction isolation level repeatable read; select pg_current_xact_id()", leastMs, mostMs);

    private async Task InTransactionAsync(string sql, int leastMs, int mostMs)
    {
        await using var connection = await rig.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
        await Task.Delay(_random.Next(leastMs, mostMs));
        await transaction.RollbackAsync();
    }

    /// <summary>One row in ten that somebody writes is a conflict, in the journal and in the business tables.</summary>
    private Task ConflictsAsync() =>
        HealAsync(["drop trigger if exists conflict on actors.journal", "drop trigger if exists conflict on accounts"], 1000, 5000,
        async () =>
    {
        await rig.ExecuteAsync("""
            create or replace function conflict() returns trigger language plpgsql as $$
            begin
                if random() < 0.1 then
                    raise exception 'on purpose' using errcode = (array['40001', '40P01', '55P03'])[1 + floor(random() * 3)::int];
                end if;
                return new;
            end $$
            """);
        // One table's lock at a time, or this meets transactions that hold the one and want the other.
        await rig.ExecuteAsync("create trigger conflict before insert on actors.journal for each row execute function conflict()");
        await rig.ExecuteAsync("create trigger conflict before update on accounts for each row execute function conflict()");
    });

    /// <summary>A stranger locks runs and accounts one by one in any order, again and again: real deadlocks with groups and
    /// transactions.</summary>
    private async Task DeadlocksAsync()
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < TimeSpan.FromSeconds(4);)
        {
            try
            {
                await rig.ExecuteAsync("""
                    do $$ declare one bigint; begin
                        for one in select instance from actors.runs where status = 0 order by random() limit 10 loop
                            perform from actors.runs where instance = one for update;
                            perform from accounts where id = floor(random() * 1000)::int for update;
                            perform pg_sleep(0.02);
                        end loop;
                    end $$
                    """);
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.DeadlockDetected)
            {
                // It was the stranger's turn to lose.
            }
        }
    }

    /// <summary>Sessions that begin now may run no statement for longer than this; all begin anew.</summary>
    private async Task StatementTimeoutsAsync()
    {
        await HealAsync(["alter database actors_faults reset statement_timeout"], 1000, 6000, async () =>
        {
            await rig.ExecuteAsync($"alter database actors_faults set statement_timeout = '{_random.Next(5, 30)}ms'");
            await EndBackendsAsync();
        });
        await EndBackendsAsync();
    }

    /// <summary>The silos lose their connections, and others have taken all that the server gives.</summary>
    private async Task NoConnectionsLeftAsync()
    {
        var taken = new List<NpgsqlConnection>();
        await using var greedy = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(rig.ConnectionString) { Pooling = false, ApplicationName = "greedy" });
        var duration = _random.Next(2000, 6000);
        await EndBackendsAsync();
        try
        {
            for (var watch = Stopwatch.StartNew(); watch.ElapsedMilliseconds < duration;)
            {
                try
                {
                    taken.Add(await greedy.OpenConnectionAsync());
                }
                catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.TooManyConnections)
                {
                    await Task.Delay(10);
                }
            }
        }
        finally
        {
            foreach (var connection in taken)
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>A transaction of a coordinator that went away holds rows of runs and accounts, until somebody rolls it back.</summary>
    private Task LeftPreparedAsync() => HealAsync(["rollback prepared 'left'"], 1000, 8000, () => rig.ExecuteAsync("""
            begin;
            select from actors.runs where status = 0 order by random() limit 10 for update skip locked;
            select from accounts order by random() limit 20 for update skip locked;
            prepare transaction 'left';
            """));

    /// <summary>Does harm for a while, and heals it as often as it takes.</summary>
    private async Task HealAsync(string[] heals, int leastMs, int mostMs, Func<Task> harm)
    {
        var duration = _random.Next(leastMs, mostMs);
        try
        {
            await harm();
            await Task.Delay(duration);
        }
        finally
        {
            foreach (var heal in heals)
            {
                await HealAsync(heal);
            }
        }
    }

    private async Task HealAsync(string heal)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await rig.ExecuteAsync(heal);
                return;
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UndefinedObject)
            {
                return; // The harm was not done.
            }
            catch (NpgsqlException) when (tries < 20)
            {
                await Task.Delay(200); // A deadlock with what goes on, or a connection that was ended by another fault.
            }
        }
    }
}
