using System.Net;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orleans;
using Orleans.Configuration;
using Orleans.Runtime;
using Orleans.Storage;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>Orleans' own providers over the tables and statements of migration 0002: one silo for the class.</summary>
[OnlyInAll]
public sealed class OrleansTablesTests(OrleansTablesTests.Cluster cluster) : IClassFixture<OrleansTablesTests.Cluster>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_grain_called_from_outside_writes_reads_clears_and_writes_again()
    {
        var notes = cluster.Client.Services.GetRequiredService<IClusterClient>().GetGrain<INotes>("n-1");
        Assert.Null(await notes.ReadAsync());
        await notes.WriteAsync("one");
        await notes.WriteAsync("two");
        Assert.Equal("two", await notes.ReadAsync());
        await notes.ClearAsync();
        Assert.Null(await notes.ReadAsync());
        await notes.WriteAsync("three");
        Assert.Equal("three", await notes.ReadAsync());
    }

    [Theory]
    [InlineData("Default")]
    [InlineData(OrleansSilo.Deleting)]
    public async Task A_stale_etag_is_a_conflict_in_every_write(string provider)
    {
        var storage = cluster.Silo.Services.GetRequiredKeyedService<IGrainStorage>(provider);
        var grain = GrainId.Create("notes", $"stale-{provider}");
        var mine = await ReadAsync(storage, grain);
        var other = await ReadAsync(storage, grain);

        await WriteAsync(storage, grain, mine, "first");
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(storage, grain, other, "also first"));
        other = await ReadAsync(storage, grain);
        await WriteAsync(storage, grain, mine, "second");
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(storage, grain, other, "stale"));
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.ClearStateAsync("notes", grain, other, Cancellation));
        Assert.Equal("second", (await ReadAsync(storage, grain)).State?.Text);

        // What was cleared and written again is not what somebody read before.
        other = await ReadAsync(storage, grain);
        await storage.ClearStateAsync("notes", grain, mine, Cancellation);
        Assert.False((await ReadAsync(storage, grain)).RecordExists);
        await WriteAsync(storage, grain, mine, "again");
        await Assert.ThrowsAsync<InconsistentStateException>(() => WriteAsync(storage, grain, other, "stale"));
        Assert.Equal("again", (await ReadAsync(storage, grain)).State?.Text);
    }

    [Fact]
    public async Task Of_two_first_writes_at_once_one_wins()
    {
        var storage = cluster.Silo.Services.GetRequiredKeyedService<IGrainStorage>("Default");
        var grain = GrainId.Create("notes", "raced");
        var errors = await Task.WhenAll(
            Enumerable.Range(0, 8).Select(i => Record(WriteAsync(storage, grain, new GrainState<Note>(new Note()), $"{i}"))));

        Assert.Single(errors, error => error is null);
        Assert.All(errors.Where(error => error is not null), error => Assert.IsType<InconsistentStateException>(error));
    }

    [Fact]
    public async Task Keys_of_every_kind_keep_their_states_apart()
    {
        var storage = cluster.Silo.Services.GetRequiredKeyedService<IGrainStorage>("Default");
        var guid = new Guid(1, 2, 3, new byte[8]);
        string[] keys = ["x", "0+x", "abc", "abc+", "abc+x", $"{guid:N}", $"{Guid.Empty:N}+x", "ключ", new string('k', 500)];
        foreach (var key in keys) await WriteAsync(storage, GrainId.Create("keys", key), new GrainState<Note>(new Note()), key);

        foreach (var key in keys) Assert.Equal(key, (await ReadAsync(storage, GrainId.Create("keys", key))).State?.Text);
    }

    [Fact]
    public async Task A_grain_registers_updates_and_drops_a_reminder()
    {
        var notes = cluster.Client.Services.GetRequiredService<IClusterClient>().GetGrain<INotes>("reminded");
        Assert.Equal(1, await notes.RemindAsync("monthly"));
        Assert.Equal(1, await notes.RemindAsync("monthly"));
        Assert.Equal(2, await notes.RemindAsync("other"));
        await notes.ForgetAsync("monthly");
        await notes.ForgetAsync("other");
        Assert.Equal(1, await notes.RemindAsync("monthly"));
    }

    [Fact]
    public async Task Reminders_are_read_by_range_also_where_it_passes_the_end_of_the_ring()
    {
        var table = await RemindersAsync("ranges");
        var grains = Enumerable.Range(0, 200).Select(i => GrainId.Create("ranged", $"{i}"))
            .OrderBy(grain => grain.GetUniformHashCode()).ToArray();
        var start = new DateTime(2030, 1, 2, 3, 4, 5, 678, DateTimeKind.Utc);
        foreach (var grain in grains)
            await table.UpsertRow(
                new ReminderEntry { GrainId = grain, ReminderName = "r", StartAt = start, Period = TimeSpan.FromDays(30) }, Cancellation);
        uint Hash(int i) => grains[i].GetUniformHashCode();
        async Task<IEnumerable<GrainId>> In(uint begin, uint end) =>
            (await table.ReadRows(begin, end, Cancellation)).Reminders.Select(r => r.GrainId).OrderBy(grain => grain.GetUniformHashCode());

        Assert.True(Hash(0) < 1u << 31 && Hash(199) > 1u << 31, "The grains lie on both sides of the sign.");
        Assert.Equal(grains[51..101], await In(Hash(50), Hash(100)));
        Assert.Equal(grains[11..191], await In(Hash(10), Hash(190)));
        Assert.Equal([.. grains[..11], .. grains[191..]], await In(Hash(190), Hash(10)));
        Assert.Equal(grains, await In(Hash(7), Hash(7)));
        Assert.Equal(grains, await In(0, 0));

        var entry = Assert.Single((await table.ReadRows(grains[3], Cancellation)).Reminders);
        Assert.Equal((start, DateTimeKind.Utc, TimeSpan.FromDays(30)), (entry.StartAt, entry.StartAt.Kind, entry.Period));
        await table.TestOnlyClearTable(Cancellation);
        Assert.Empty(await In(0, 0));
    }

    [Fact]
    public async Task A_reminder_is_deleted_only_with_its_current_etag_and_a_new_one_has_another()
    {
        var table = await RemindersAsync("etags");
        var grain = GrainId.Create("reminded", "1");
        var entry = new ReminderEntry { GrainId = grain, ReminderName = "r", StartAt = DateTime.UtcNow, Period = TimeSpan.FromMinutes(1) };
        var first = (await table.UpsertRow(entry, Cancellation))!;
        var second = (await table.UpsertRow(entry, Cancellation))!;

        Assert.NotEqual(first, second);
        Assert.False(await table.RemoveRow(grain, "r", first, Cancellation));
        Assert.Equal(second, (await table.ReadRow(grain, "r", Cancellation))?.ETag);
        Assert.True(await table.RemoveRow(grain, "r", second, Cancellation));
        Assert.Null(await table.ReadRow(grain, "r", Cancellation));
        var third = (await table.UpsertRow(entry, Cancellation))!;
        Assert.False(await table.RemoveRow(grain, "r", first, Cancellation) || await table.RemoveRow(grain, "r", second, Cancellation));
        Assert.True(await table.RemoveRow(grain, "r", third, Cancellation));
    }

    [Fact]
    public async Task The_ranges_of_reminders_and_the_states_are_found_by_index()
    {
        var reminders = await PlanAsync("""
            select from actors.orleans_reminders where service_id = 's' and (grain_hash > 2147000000 or grain_hash <= -2147000000)
            """);
        Assert.Contains("orleans_reminders_range", reminders, StringComparison.Ordinal);
        var state = await PlanAsync("""
            select from actors.orleans_storage
            where service_id = 's' and grain_type = 't' and key_hash = 1 and key_n0 = 0 and key_n1 = 0 and key_text = ''
            """);
        Assert.Contains("orleans_storage_pkey", state, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_missing_statement_stops_the_start()
    {
        await using var database = new FreshDatabase();
        await database.InitializeAsync();
        await Migrator.MigrateAsync(database.DataSource, Cancellation);
        await database.ExecuteAsync("delete from actors.orleansquery where querykey = 'CleanupDefunctSiloEntriesKey'");
        await using var dataSource = OrleansSilo.DataSource(database.ConnectionString);

        var error = await Assert.ThrowsAnyAsync<Exception>(() => OrleansSilo.StartAsync(dataSource, "incomplete", Cancellation));
        Assert.Contains("CleanupDefunctSiloEntriesKey", error.ToString(), StringComparison.Ordinal);
    }

    private async Task<IReminderTable> RemindersAsync(string service)
    {
        var type = typeof(AdoNetReminderTableOptions).Assembly
            .GetType("Orleans.Runtime.ReminderService.AdoNetReminderTable", throwOnError: true)!;
        var table = (IReminderTable)ActivatorUtilities.CreateInstance(cluster.Silo.Services, type,
            Microsoft.Extensions.Options.Options.Create(new ClusterOptions { ServiceId = service, ClusterId = service }));
        await table.StartAsync(Cancellation);
        return table;
    }

    private async Task<string> PlanAsync(string sql)
    {
        await using var connection = await cluster.Database.DataSource.OpenConnectionAsync(Cancellation);
        await using var transaction = await connection.BeginTransactionAsync(Cancellation);
        await using var set = new NpgsqlCommand("set local enable_seqscan = off", connection);
        await set.ExecuteNonQueryAsync(Cancellation);
        await using var explain = new NpgsqlCommand($"explain (format json) {sql}", connection);
        return (string)(await explain.ExecuteScalarAsync(Cancellation))!;
    }

    private static async Task<GrainState<Note>> ReadAsync(IGrainStorage storage, GrainId grain)
    {
        var state = new GrainState<Note>(new Note());
        await storage.ReadStateAsync("notes", grain, state, Cancellation);
        return state;
    }

    private static Task WriteAsync(IGrainStorage storage, GrainId grain, GrainState<Note> state, string text)
    {
        state.State = new Note { Text = text };
        return storage.WriteStateAsync("notes", grain, state, Cancellation);
    }

    private static async Task<Exception?> Record(Task task)
    {
        try { await task; return null; }
        catch (InconsistentStateException error) { return error; }
    }

    public sealed class Cluster : IAsyncLifetime
    {
        private NpgsqlDataSource _orleans = null!;

        internal FreshDatabase Database { get; } = new();

        internal OrleansSilo Silo { get; private set; } = null!;

        internal OrleansSilo Client { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            await Migrator.MigrateAsync(Database.DataSource, default);
            _orleans = OrleansSilo.DataSource(Database.ConnectionString);
            Silo = await OrleansSilo.StartAsync(_orleans, "tables", default);
            Client = await OrleansSilo.ConnectAsync(_orleans, "tables", default);
        }

        public async ValueTask DisposeAsync()
        {
            await Client.DisposeAsync();
            await Silo.DisposeAsync();
            await _orleans.DisposeAsync();
            await Database.DisposeAsync();
        }
    }
}
