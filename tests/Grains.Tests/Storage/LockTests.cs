using System.Diagnostics;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Who waits for another's open transaction waits alone: the others are answered while that is still open.</summary>
public sealed class LockTests(TestDatabase database) : IAsyncLifetime, IClassFixture<TestDatabase>
{
    private readonly Store _store = new(database.ConnectionString, slots: 2);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _store.RegisterAsync();

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Theory]
    [InlineData("start")]
    [InlineData("row")]
    [InlineData("message id")]
    public async Task Who_waits_for_a_lock_waits_alone(string held)
    {
        var runs = await RunsAsync($"{held} run", 100);
        await using var other = await OpenAsync(held switch
        {
            "start" => $"select actors.start_workflow('default', '{held} 50', '{Store.Type}', '1')",
            "row" => $"select from actors.runs where instance = {runs[50].Instance} for update",
            _ => $"insert into actors.message_ids (workflow, instance, at, position, kind, message_id) values ({runs[50].Workflow}, "
                + $"{runs[50].Instance}, now(), 1, 0, 'm')",
        });
        var (starts, entries) = await TogetherAsync(held, 200, runs);
        var waits = held == "start" ? starts[50] : entries[50];

        await Task.WhenAll(starts.Concat(entries).Where(reply => reply != waits)).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.False(waits.IsCompleted); // The transaction is open.
        Assert.All(starts.Concat(entries).Where(reply => reply != waits), reply =>
            Assert.Equal(CommitOutcome.Committed, reply.Result.Outcome));
        Assert.Equal(CommitOutcome.Committed, (await _store.CommitAsync(Store.Entry(runs[0], position: 1))).Outcome); // The slots are free.

        await other.DisposeAsync(); // Rolled back.
        Assert.Equal(CommitOutcome.Committed, (await waits.WaitAsync(TimeSpan.FromSeconds(60), Cancel)).Outcome);
    }

    [Fact]
    public async Task Many_that_wait_harm_nobody_else()
    {
        await using var other = await OpenAsync(
            $"select actors.start_workflow('default', 'many ' || n, '{Store.Type}', '1') from generate_series(0, 39) n");
        var (starts, _) = await TogetherAsync("many", 200, []);
        await Task.WhenAll(starts[40..]).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.All(starts[..40], reply => Assert.False(reply.IsCompleted));
        await using (var commit = new NpgsqlCommand("commit", other))
        {
            await commit.ExecuteNonQueryAsync(Cancel);
        }

        Assert.All(await Task.WhenAll(starts[..40]).WaitAsync(TimeSpan.FromSeconds(60), Cancel), reply =>
            Assert.Equal(CommitOutcome.Fenced, reply.Outcome));
    }

    [Fact]
    public async Task Behind_a_locked_table_a_group_waits_as_one_and_leaves_its_slot()
    {
        var runs = await RunsAsync("table", 100);
        await using var other = await OpenAsync("lock table actors.outbox in share mode");
        var entries = runs.Select(run =>
        {
            var entry = Store.Entry(run);
            entry.Outbox.Add(new OutgoingRow(1, "hook", "topic", "key", Store.Json("1")));
            return entry;
        });
        var replies = await _store.TogetherAsync(entries);
        var waited = Stopwatch.StartNew();
        var others = await RunsAsync("beside", 3); // They do not need the table.
        Assert.Equal(CommitOutcome.Committed, (await _store.CommitAsync(Store.Entry(others[0]))).Outcome);
        await Store.UntilBlockedAsync(database.DataSource, $"actors patient {_store.Silo}");
        Assert.All(replies, reply => Assert.False(reply.IsCompleted));
        var sent = _store.RoundTrips.Count(name => name == "commit");
        Assert.InRange(sent, 1, 100); // Not one by one.
        await other.DisposeAsync();
        Assert.All(await Task.WhenAll(replies).WaitAsync(TimeSpan.FromSeconds(60), Cancel), reply =>
            Assert.Equal(CommitOutcome.Committed, reply.Outcome));
        Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60));
    }

    private async Task<Start[]> RunsAsync(string id, int count) =>
        [.. (await Task.WhenAll(Enumerable.Range(0, count).Select(i => _store.StartAsync($"{id} {i}")))).OrderBy(run => run.Instance)];

    private async Task<NpgsqlConnection> OpenAsync(string sql)
    {
        var other = new NpgsqlConnection(database.ConnectionString + ";Pooling=false");
        await other.OpenAsync(Cancel);
        await using var begin = new NpgsqlCommand($"begin; {sql}", other);
        await begin.ExecuteNonQueryAsync(Cancel);
        return other;
    }

    private async Task<(List<Task<CommitReply>> Starts, List<Task<CommitReply>> Entries)> TogetherAsync(string id, int starts, Start[] runs)
    {
        var made = await Task.WhenAll(Enumerable.Range(0, starts).Select(i => _store.NewStartAsync($"{id} {i}")));
        List<Task<CommitReply>> replies = [];
        var entries = await _store.TogetherAsync(
            runs.Select(run =>
            {
                var entry = Store.Entry(run);
                entry.Rows[0] = entry.Rows[0] with { MessageId = "m" };
                return entry;
            }),
            () => replies = [.. made.Select(_store.Journal.StartAsync)]);
        return (replies, entries);
    }
}
