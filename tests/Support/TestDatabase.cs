using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Xunit;

namespace Actors.Support;

/// <summary>
/// A migrated database of its own for each test class that asks for it (<c>IClassFixture&lt;TestDatabase&gt;</c>), dropped at the end of
/// the class. It is cloned from a template that is migrated once, and again when the migrations change.
/// </summary>
public class TestDatabase : IAsyncLifetime
{
    private static readonly ConcurrentDictionary<string, NpgsqlDataSource> Servers = new();
    private static int _count;
    private readonly Func<NpgsqlDataSource, CancellationToken, Task> _migrate;
    private string _serverConnection = "";
    private NpgsqlDataSource _server = null!;
    private NpgsqlDataSource? _dataSource;

    /// <summary>For xunit. Others call <see cref="CreateAsync"/>.</summary>
    public TestDatabase() : this(TestSchema.MigrateAsync, TestSchema.Fingerprint)
    {
    }

    /// <summary>For fixtures that need another schema.</summary>
    /// <param name="fingerprint">Changes whenever <paramref name="migrate"/> would make another schema.</param>
    protected TestDatabase(Func<NpgsqlDataSource, CancellationToken, Task> migrate, string fingerprint)
    {
        _migrate = migrate;
        Template = "template_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(fingerprint)))[..16];
    }

    /// <summary>The database's name.</summary>
    public string Name { get; } = $"test_{Environment.ProcessId}_{Interlocked.Increment(ref _count)}";

    /// <summary>The database that this one is a clone of.</summary>
    public string Template { get; }

    /// <summary>Opens connections to the database, also for other processes.</summary>
    public string ConnectionString { get; private set; } = "";

    /// <summary>A pool of this class's own, closed at the end of the class.</summary>
    public NpgsqlDataSource DataSource => _dataSource ?? throw new InvalidOperationException("The database is not made yet.");

    /// <summary>A database outside of a class fixture: the caller disposes it.</summary>
    public static async Task<TestDatabase> CreateAsync()
    {
        var database = new TestDatabase();
        await database.InitializeAsync();
        return database;
    }

    /// <summary>For Postgres' own types alone: asking a new database for all of its types was the dearest statement of most
    /// tests.</summary>
    public static NpgsqlDataSource Pool(NpgsqlConnectionStringBuilder connection) =>
        new NpgsqlDataSourceBuilder(connection.ConnectionString).ConfigureTypeLoading(types => types.EnableTypeLoading(false)).Build();

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        _serverConnection = (await TestPostgres.ServerAsync()).ConnectionString;
        _server = Servers.GetOrAdd(_serverConnection, text => Pool(new NpgsqlConnectionStringBuilder(text) { Enlist = false }));
        if (!await IsThereAsync())
        {
            await MakeTemplateAsync();
        }

        await ExecuteAsync($"create database {Name} template {Template}");
        ConnectionString = To(Name);
        _dataSource = Pool(new NpgsqlConnectionStringBuilder(ConnectionString) { CommandTimeout = 180 }); // Beside others.
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_dataSource is not null)
        {
            await _dataSource.DisposeAsync();
            await ExecuteAsync($"drop database {Name} with (force)");
        }
    }

    /// <summary>Once, whichever classes and programs run side by side.</summary>
    private async Task MakeTemplateAsync()
    {
        await using var connection = await _server.OpenConnectionAsync();
        await ExecuteAsync($"select pg_advisory_lock(hashtext('{Template}'))", connection);
        try
        {
            if (await IsThereAsync())
            {
                return;
            }

            var half = Template + "_half";
            await ExecuteAsync($"drop database if exists {half} with (force)", connection);
            await ExecuteAsync($"create database {half}", connection);
            await using (var source = NpgsqlDataSource.Create(To(half)))
            {
                await _migrate(source, CancellationToken.None);
            }

            await ExecuteAsync($"alter database {half} rename to {Template}", connection);
        }
        finally
        {
            await ExecuteAsync($"select pg_advisory_unlock(hashtext('{Template}'))", connection);
        }
    }

    private async Task<bool> IsThereAsync()
    {
        await using var find = _server.CreateCommand($"select 1 from pg_database where datname = '{Template}'");
        return await find.ExecuteScalarAsync() is not null;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = await _server.OpenConnectionAsync();
        await ExecuteAsync(sql, connection);
    }

    private static async Task ExecuteAsync(string sql, NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync();
    }

    private string To(string database) =>
        new NpgsqlConnectionStringBuilder(_serverConnection) { Database = database }.ConnectionString;
}
