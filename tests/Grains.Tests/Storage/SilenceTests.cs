using Actors.Execution;
using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A server that vanished without a word is noticed, said, and given up; what it was asked is found out over another connection.</summary>
public sealed class SilenceTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    [OnlyInAll]
    public async Task Commits_sweeps_and_transactions_go_on_after_their_connections_fell_silent()
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
        await engine.StartAsync("silent");
        proxy.Silence();
        var poke = engine.PokeAsync("silent", "now");
        while (!poke.IsCompleted)
        {
            silence ??= engine.Engine.Context.Database.Probe.Silence;
            await Task.WhenAny(poke, Task.Delay(50));
        }

        await poke;
        Assert.Equal("stepped committed", await engine.ResultAsync<string>("silent", TimeSpan.FromMinutes(1)));
        Assert.StartsWith("Postgres has not answered 'commit' for ", silence, StringComparison.Ordinal);
        Assert.Contains(lines.Of(typeof(EngineWatch).FullName!), line => line.StartsWith("Postgres has not answered 'commit'", StringComparison.Ordinal));
        Assert.Null(engine.Engine.Context.Database.Probe.Silence);
    }

    [Fact]
    public async Task Every_connection_of_the_engine_has_its_limits_on_both_ends()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var connections = engine.Engine.Context.Database;
        foreach (var (pool, seconds) in new[] { (connections.Engine, 16), (connections.Patient, 45), (connections.Users, 30) })
        {
            await using var connection = await pool.OpenConnectionAsync(TestContext.Current.CancellationToken);
            await using var show = new NpgsqlCommand("select concat_ws(' ', current_setting('tcp_user_timeout'), current_setting('tcp_keepalives_idle'), current_setting('tcp_keepalives_count'))", connection);
            Assert.Equal("15000 10 2", await show.ExecuteScalarAsync(TestContext.Current.CancellationToken));
            Assert.Equal(seconds, show.CommandTimeout);
            if (OperatingSystem.IsLinux())
            {
                var (milliseconds, length) = (0, sizeof(int));
                Assert.Equal(0, GetSocketOption((int)BlockingSocket.HandleOf(connection).DangerousGetHandle(), 6, 18, ref milliseconds, ref length)); // TCP_USER_TIMEOUT
                Assert.Equal(15_000, milliseconds);
            }
        }
    }

    [System.Runtime.InteropServices.DllImport("libc", EntryPoint = "getsockopt")]
    private static extern int GetSocketOption(int socket, int level, int option, ref int value, ref int length);
}
