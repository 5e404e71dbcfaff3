using System.Diagnostics;
using Actors.Postgres;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Orders.Tests;

/// <summary>A silo as a program (package Actors.Silo), as an operator meets it before it serves.</summary>
public sealed class SiloProgramTests
{
    [Fact]
    public async Task It_names_its_options() => Assert.Contains("--advertise", (await RunAsync(null, "--help")).Said, StringComparison.Ordinal);

    [Fact]
    public async Task Without_a_database_it_says_how_to_name_one()
    {
        var (code, said) = await RunAsync(null);
        Assert.Equal(3, code);
        Assert.Contains("set ACTORS_POSTGRES to a connection string", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_option_is_named()
    {
        var (code, said) = await RunAsync(null, "--silo-prot", "1");
        Assert.Equal(2, code);
        Assert.Contains("--silo-prot", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("http://127.0.0.1:99999")]
    public async Task An_address_that_is_none_is_named_before_the_silo_joins(string address)
    {
        var (code, said) = await RunAsync("Host=nowhere", "--http", address);
        Assert.Equal(2, code);
        Assert.Contains($"--http is '{address}'", said, StringComparison.Ordinal);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_silo_that_cannot_drain_as_Postgres_is_away_ends_in_time()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var proxy = new CutProxy(database.ConnectionString);
        var start = Silo(proxy.ConnectionString, "--silo-port", $"{LoopbackPort.Free()}", "--gateway-port", $"{LoopbackPort.Free()}",
            "--http", $"http://127.0.0.1:{LoopbackPort.Free()}");
        using var silo = new ReadyProcess(start);
        await silo.ReadyAsync();
        proxy.Vanish();
        var watch = Stopwatch.StartNew();
        silo.Signal("TERM");
        await silo.ExitedAsync();
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 38); // deploy/ gives a pod 40.
        Assert.Equal(1, silo.ExitCode);
        Assert.Contains("its process ends now", silo.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_setting_out_of_bounds_is_named()
    {
        await using var database = await TestDatabase.CreateAsync();
        var (code, said) = await RunAsync(database.ConnectionString, "--silo-port", "0");
        Assert.Equal(1, code);
        Assert.Contains("The silo does not start: The field SiloPort must be between 1 and 65535.", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_migration_alone_brings_the_host_s_own_tables_too_and_can_be_repeated()
    {
        await using var database = await TestDatabase.CreateAsync();
        for (var times = 0; times < 2; times++)
        {
            Assert.Equal((0, ""), await RunAsync(database.ConnectionString, "--migrate-only"));
        }

        await using var source = NpgsqlDataSource.Create(database.ConnectionString);
        await using var count = source.CreateCommand("select count(*) from orders.stock");
        Assert.Equal(0L, await count.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    private static async Task<(int Code, string Said)> RunAsync(string? database, params string[] options)
    {
        using var silo = Process.Start(Silo(database, options))!;
        var said = await Task.WhenAll(silo.StandardOutput.ReadToEndAsync(), silo.StandardError.ReadToEndAsync());
        await silo.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (silo.ExitCode, string.Concat(said));
    }

    private static ProcessStartInfo Silo(string? database, params string[] options)
    {
        var start = new ProcessStartInfo(BuiltProgram.Orders, ["silo", .. options]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ACTORS_POSTGRES"] = database;
        start.Environment["ORDERS_WEBHOOK_SECRET"] = Convert.ToBase64String(new byte[32]);
        return start;
    }
}
