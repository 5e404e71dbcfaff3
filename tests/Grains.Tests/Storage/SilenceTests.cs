using System.Diagnostics;
using Actors.Execution;
using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A server that vanished without a word is noticed, said, and given up; what it was asked is found out over another
/// connection.</summary>
public sealed class SilenceTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [OnlyInAll]
    [InlineData("commit")]
    [InlineData("commit transaction")]
    public async Task A_commit_goes_on_over_another_connection_when_its_own_fell_silent(string statement)
    {
        await using var proxy = new CutProxy(database.ConnectionString);
        var (lines, silence) = (new LogLines(), (string?)null);
        await using var engine = await TestEngine.StartAsync(
            proxy.ConnectionString,
            builder =>
            {
                builder.Services.AddSingleton(new Script(async w =>
                {
                    await w.WaitUntil(() => w.Heard.Count > 0);
                    return await w.Step("steps", () => "stepped") + await w.Transaction("commits", _ => Task.FromResult(" committed"));
                }));
                builder.AddWorkflow<Scripted>();
            },
            log => log.AddProvider(lines));
        var id = $"silent {statement}";
        await engine.StartAsync(id);
        var falls = 1;
        engine.Probe.Before = name =>
        {
            if (name == statement && Interlocked.Decrement(ref falls) == 0)
            {
                proxy.Silence();
            }

            return Task.CompletedTask;
        };
        var poke = engine.PokeAsync(id, "now");
        var result = engine.ResultAsync<string>(id, TimeSpan.FromMinutes(1));
        while (!result.IsCompleted)
        {
            silence ??= engine.Engine.Context.Database.Probe.Silence;
            await Task.WhenAny(result, Task.Delay(50));
        }

        await poke;
        Assert.Equal("stepped committed", await result);
        if (statement == "commit") // The other one may be long by what users put into it.
        {
            Assert.StartsWith("Postgres has not answered 'commit' for ", silence, StringComparison.Ordinal);
            Assert.Contains(lines.Of(typeof(EngineWatch).FullName!), line =>
                line.StartsWith("Postgres has not answered 'commit'", StringComparison.Ordinal));
        }

        Assert.Null(engine.Engine.Context.Database.Probe.Silence);
    }

    [Theory]
    [OnlyInAll]
    [InlineData("commit", "The outcome of a commit of 1 entries is unknown")]
    [InlineData("commit transaction", "The database has not told yet what became of a commit")]
    public async Task A_commit_whose_packets_are_dropped_is_given_up_after_a_quarter_of_a_minute_and_made_once_when_they_pass_again(
        string statement, string said)
    {
        Assert.SkipUnless(DroppedPackets.ArePossible, "A network namespace takes Linux, root and iproute2.");
        await using var way = await DroppedPackets.CreateAsync(database.ConnectionString);
        var (lines, calls) = (new LogLines(), 0);
        await using var engine = await TestEngine.StartAsync(
            $"{way.ConnectionString};Timeout=3",
            builder =>
            {
                builder.Services.AddSingleton(new Script(async w =>
                {
                    await w.WaitUntil(() => w.Heard.Count > 0);
                    return await w.Transaction("commits", _ => Task.FromResult($"{++calls}"));
                }));
                builder.AddWorkflow<Scripted>();
            },
            log => log.AddProvider(lines));
        var id = $"dropped {statement}";
        await engine.StartAsync(id);
        var dropped = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
        engine.Probe.Before = async name =>
        {
            if (name == statement && !dropped.Task.IsCompleted)
            {
                await way.DropAsync();
                dropped.SetResult(Stopwatch.GetTimestamp());
            }
        };
        var poke = engine.PokeAsync(id, "now");
        var began = await dropped.Task;
        while (!lines.Of(typeof(JournalWriter).FullName!).Any(line => line.StartsWith(said, StringComparison.Ordinal)))
        {
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }

        Assert.InRange(Stopwatch.GetElapsedTime(began).TotalSeconds, 14, 25);
        await way.PassAsync();
        await poke;
        // What went with the connection runs again.
        Assert.Equal(await engine.ResultAsync<string>(id, TimeSpan.FromMinutes(1)), $"{calls}");
        Assert.Equal(1L, await database.ScalarAsync<long>(
            $"select count(*) from actors.journal join actors.runs using (instance) where id = '{id}' and name = 'commits'"));
    }

    [Fact]
    public async Task A_Unix_domain_socket_is_asked_for_no_keep_alives_which_it_has_not()
    {
        var settings = new NpgsqlConnectionStringBuilder(database.ConnectionString) { Host = "/run/postgresql" };
        await using var connections = new EngineDatabase(
            settings.ConnectionString, Guid.NewGuid(), 1, TimeSpan.FromMinutes(1), new StatementProbe());
        foreach (var pool in new[] { connections.Engine, connections.Users })
        {
            Assert.Equal((0, 0), (
                new NpgsqlConnectionStringBuilder(pool.ConnectionString).TcpKeepAliveTime,
                new NpgsqlConnectionStringBuilder(pool.ConnectionString).TcpKeepAliveInterval));
        }
    }

    [Fact]
    public async Task Every_connection_of_the_engine_has_its_limits_on_both_ends()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var connections = engine.Engine.Context.Database;
        foreach (var (pool, seconds) in new[] { (connections.Engine, 16), (connections.Patient, 45), (connections.Users, 30) })
        {
            await using var connection = await pool.OpenConnectionAsync(TestContext.Current.CancellationToken);
            await using var show = new NpgsqlCommand(
                "select concat_ws(' ', current_setting('tcp_user_timeout'), current_setting('tcp_keepalives_idle'), "
                + "current_setting('tcp_keepalives_count'))", connection);
            Assert.Equal("15000 10 2", await show.ExecuteScalarAsync(TestContext.Current.CancellationToken));
            Assert.Equal(seconds, show.CommandTimeout);
            if (OperatingSystem.IsLinux())
            {
                var (milliseconds, length) = (0, sizeof(int));
                // TCP_USER_TIMEOUT
                Assert.Equal(0, GetSocketOption(
                    (int)BlockingSocket.HandleOf(connection).DangerousGetHandle(), 6, 18, ref milliseconds, ref length));
                Assert.Equal(15_000, milliseconds);
            }
        }
    }

    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "getsockopt")]
    private static extern int GetSocketOption(int socket, int level, int option, ref int value, ref int length);
}
