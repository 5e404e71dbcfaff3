using Actors.Grains.Tests.Cluster;
using Actors.Postgres;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A silo or client that cannot use its database says what, where and what to do; one whose database is not there yet waits for
/// it.</summary>
public sealed class DataAccessTests(FreshDatabase database) : IClassFixture<FreshDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<string, string> Faults => new()
    {
        { "Username=nobody_here", "refuses user 'nobody_here'" },
        { "Password=wrong", "refuses user" },
        { "Password=", "No password" },
        { "Database=not_there", "There is no database 'not_there'" },
        { "Options=-c role=pg_monitor", "lacks a right" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_silo_that_may_not_use_its_database_ends_with_what_to_do(string change, string says)
    {
        var settings = new NpgsqlConnectionStringBuilder(database.ConnectionString);
        var (key, value) = (change[..change.IndexOf('=')], change[(change.IndexOf('=') + 1)..]);
        settings[key] = value;
        using var host = Build(settings.ConnectionString);
        var error = await Assert.ThrowsAsync<DatabaseAccessException>(() => host.StartAsync(Cancel));
        Assert.False(error.IsTransient);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains($"{settings.Host}:{settings.Port}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(
            new NpgsqlConnectionStringBuilder(database.ConnectionString).Password!, error.ToString(), StringComparison.Ordinal);
        Assert.False(await database.ScalarAsync<bool>("select to_regnamespace('actors') is not null"));
    }

    [OnlyInAll]
    [Fact]
    public async Task A_silo_waits_for_a_database_that_is_not_there_yet_and_goes_on_by_itself()
    {
        await using var empty = await TestDatabase.CreateAsync();
        var port = LoopbackPort.Free();
        var settings = new NpgsqlConnectionStringBuilder(empty.ConnectionString) { Host = "127.0.0.1", Port = port };
        var waits = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Build(settings.ConnectionString, new Listener(waits));
        var started = host.StartAsync(Cancel);
        Assert.Contains($"Postgres at 127.0.0.1:{port} cannot be reached", await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel),
            StringComparison.Ordinal);
        Assert.False(started.IsCompleted);

        await using var proxy = new CutProxy(empty.ConnectionString, port);
        await started.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        var handle = host.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>("late");
        await handle.StartAsync(100);
        Assert.Equal(100, await handle.ResultAsync());
        await host.StopAsync(Cancel);
    }

    [Fact]
    public async Task A_silo_whose_database_takes_no_writes_says_so()
    {
        var waits = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Build($"{database.ConnectionString};Options=-c default_transaction_read_only=on", new Listener(waits));
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var started = host.StartAsync(patience.Token);
        Assert.Contains("default_transaction_read_only is on", await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel),
            StringComparison.Ordinal);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => started);
    }

    [Fact]
    public async Task A_silo_that_is_given_no_connection_waits_and_ends_with_what_Postgres_says()
    {
        var role = $"crowded_{Guid.NewGuid():n}";
        await database.ExecuteAsync($"create role {role} login password 'crowded' connection limit 0");
        var waits = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Build(
            new NpgsqlConnectionStringBuilder(database.ConnectionString) { Username = role, Password = "crowded" }.ConnectionString,
            new Listener(waits));
        using var patience = new CancellationTokenSource();
        var started = host.StartAsync(patience.Token);
        Assert.Contains($"no connection left for user '{role}'", await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel),
            StringComparison.Ordinal);
        await patience.CancelAsync();
        var error = await Assert.ThrowsAsync<DatabaseAccessException>(() => started.WaitAsync(TimeSpan.FromSeconds(20), Cancel));
        Assert.Contains("too many connections for role", error.Message, StringComparison.Ordinal);
        Assert.True(error.IsTransient);
        await database.ExecuteAsync($"drop role {role}");
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData(null, "is empty")]
    [InlineData("Database=actors;Username=me", "names no server")]
    public void A_connection_string_that_is_none_is_refused_with_words(string? connectionString, string says)
    {
        Assert.Contains(says, Assert.Throws<ArgumentException>(() => Build(connectionString!)).Message, StringComparison.Ordinal);
        Assert.Contains(says, Assert.Throws<ArgumentException>(() => Client(connectionString!)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pool_that_shall_never_be_small_is_taken_by_silo_and_client()
    {
        var settings = new NpgsqlConnectionStringBuilder(database.ConnectionString) { MinPoolSize = 50, MaxPoolSize = 60 };
        Build(settings.ConnectionString).Dispose();
        Client(settings.ConnectionString).Dispose();
    }

    [Theory]
    [InlineData(nameof(ActorsClusterOptions.SiloPort))]
    [InlineData(nameof(ActorsClusterOptions.GatewayPort))]
    public async Task A_port_that_is_taken_is_named_with_its_option(string option)
    {
        using var taker = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taker.Start();
        var port = ((System.Net.IPEndPoint)taker.LocalEndpoint).Port;
        using var host = Build(
            database.ConnectionString, cluster: cluster => typeof(ActorsClusterOptions).GetProperty(option)!.SetValue(cluster, port));
        var error = await Assert.ThrowsAsync<SiloPortException>(() => host.StartAsync(Cancel));
        Assert.Contains($"127.0.0.1:{port}", error.Message, StringComparison.Ordinal);
        Assert.Contains(option, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_is_none_is_named_with_its_option() => Assert.StartsWith(
        "AdvertisedAddress: 'silo-1'",
        Assert.Throws<System.ComponentModel.DataAnnotations.ValidationException>(
            () => Build(database.ConnectionString, cluster: cluster => cluster.AdvertisedAddress = "silo-1")).Message,
        StringComparison.Ordinal);

    [Theory]
    [InlineData("Username", "nobody_here", "refuses user 'nobody_here'")]
    [InlineData("Password", "wrong", "refuses user")]
    [InlineData("Password", "", "No password")]
    [InlineData("Database", "not_there", "There is no database 'not_there'")]
    public async Task A_client_that_may_not_use_the_database_ends_with_what_to_do(string key, string value, string says)
    {
        var settings = new NpgsqlConnectionStringBuilder(database.ConnectionString) { [key] = value };
        using var host = Client(settings.ConnectionString);
        var error = await Assert.ThrowsAsync<DatabaseAccessException>(
            () => host.StartAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(20), Cancel));
        Assert.False(error.IsTransient);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Contains($"{settings.Host}:{settings.Port}", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(
            new NpgsqlConnectionStringBuilder(database.ConnectionString).Password!, error.ToString(), StringComparison.Ordinal);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_client_waits_for_a_server_that_is_not_there_yet_and_says_so()
    {
        await using var empty = await TestDatabase.CreateAsync();
        using var silo = Build(empty.ConnectionString);
        await silo.StartAsync(Cancel);
        var port = LoopbackPort.Free();
        var settings = new NpgsqlConnectionStringBuilder(empty.ConnectionString) { Host = "127.0.0.1", Port = port };
        var waits = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var client = Client(settings.ConnectionString, new Listener(waits));
        var started = client.StartAsync(Cancel);
        Assert.Contains("No connection to the silos yet", await waits.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel),
            StringComparison.Ordinal);
        Assert.False(started.IsCompleted);

        await using var proxy = new CutProxy(empty.ConnectionString, port);
        await started.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.True((await client.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>("from-outside").StartAsync(100)).Started);
        await client.StopAsync(Cancel);
        await silo.StopAsync(Cancel);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_server_that_may_lose_what_it_has_acknowledged_is_a_warning_at_the_start()
    {
        await using var own = new OwnPostgres();
        var server = await own.StartAsync(cancellation: Cancel);
        await using (var source = NpgsqlDataSource.Create(server.ConnectionString))
        {
            await Store.ExecuteAsync(source, "alter system set full_page_writes = off");
            await Store.ExecuteAsync(source, "select pg_reload_conf()");
            while (await Store.ScalarAsync<string>(source, "show full_page_writes") != "off")
            {
                await Task.Delay(10, Cancel);
            }
        }

        var warned = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = Build(server.ConnectionString, new Listener(warned));
        await host.StartAsync(Cancel);
        Assert.StartsWith("Postgres runs with full_page_writes = off", await warned.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel),
            StringComparison.Ordinal);
        await host.StopAsync(Cancel);
    }

    private static IHost Client(string connectionString, ILoggerProvider? logs = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning);
        if (logs is not null)
        {
            builder.Logging.AddProvider(logs);
        }

        builder.AddActorsClient(connectionString);
        return builder.Build();
    }

    private static IHost Build(string connectionString, ILoggerProvider? logs = null, Action<ActorsClusterOptions>? cluster = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Warning);
        if (logs is not null)
        {
            builder.Logging.AddProvider(logs);
        }

        builder.AddActors(connectionString, actors =>
        {
            actors.AddWorkflow<Counting>();
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (LoopbackPort.Free(), LoopbackPort.Free());
            cluster?.Invoke(actors.Cluster);
        });
        return builder.Build();
    }

    private sealed class Listener(TaskCompletionSource<string> waits) : ILoggerProvider, ILogger
    {
        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (eventId.Id is 631 or 633 or 641)
            {
                waits.TrySetResult(formatter(state, exception));
            }
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }
    }
}
