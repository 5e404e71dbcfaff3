using System.Data;
using System.Text.RegularExpressions;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What a stale owner tries to commit leaves no trace in any table.</summary>
[EachPostgres]
public sealed class FenceTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    public static TheoryData<string, bool> Cases => new MatrixTheoryData<string, bool>(
        ["stale epoch", "future epoch", "stale position", "future position", "other owner", "released", "ended", "set aside", "early"],
        [false, true]);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_stale_owner_writes_nothing_to_any_table(string stale, bool inTransaction)
    {
        await using var store = new Store(database.ConnectionString);
        await using var other = new Store(database.ConnectionString);
        await Store.ExecuteAsync(database.DataSource, "create table if not exists business (note text)");
        var id = $"stale {stale} {inTransaction}";
        var run = await store.StartAsync(id);
        await store.CommitAsync(WithEverything(Store.Entry(run)));
        var entry = await StaleAsync(store, other, run, stale);
        await Store.ExecuteAsync(database.DataSource, $"select actors.send('default', '{id}', 'm', 'mail', '1')");
        var before = await Store.AllOfAsync(database.DataSource, run.Instance);

        var outcome = inTransaction ? await TransactionAsync(store, entry, id) : (await store.CommitAsync(entry)).Outcome.ToString();

        Assert.Equal((stale, inTransaction) switch { ("early", true) => "Unmoved", ("early", false) => "Early", _ => "Fenced" }, outcome);
        var after = await Store.AllOfAsync(database.DataSource, run.Instance);
        // A Transaction's entry is resolved under a raised epoch; nothing else changes.
        Assert.Equal(inTransaction ? Regex.Replace(before, "\"epoch\": .", "") : before, inTransaction
            ? Regex.Replace(after, "\"epoch\": .", "") : after);
        Assert.Equal(0L, await Store.ScalarAsync<long>(database.DataSource, $"select count(*) from business where note = '{id}'"));
    }

    [Fact]
    public async Task A_stale_member_of_a_group_writes_nothing_and_the_others_commit()
    {
        await using var store = new Store(database.ConnectionString, slots: 1);
        var runs = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => store.StartAsync($"member {i}")));
        var stale = runs[7];
        var before = await Store.AllOfAsync(database.DataSource, stale.Instance);
        var held = store.HoldNext("commit");
        var first = store.CommitAsync(Store.Entry(await store.NewStartAsync("nobody")));
        await held.UntilReachedAsync();
        var replies = Task.WhenAll(runs.Select(run => store.CommitAsync(WithEverything(Store.Entry(run, epoch: run == stale ? 9 : 1)))));
        held.Release();

        Assert.Equal(CommitOutcome.Fenced, (await first).Outcome);
        Assert.All((await replies).Zip(runs), pair =>
            Assert.Equal(pair.Second == stale ? CommitOutcome.Fenced : CommitOutcome.Committed, pair.First.Outcome));
        Assert.Equal(before, await Store.AllOfAsync(database.DataSource, stale.Instance));
        // The blocked one and its resolution, the group, its resolution, and the group without the offender.
        Assert.Equal(["commit", "resolve", "commit", "resolve", "commit"],
            store.RoundTrips.Where(name => name != "take instances").TakeLast(5));
    }

    private static async Task<Entry> StaleAsync(Store store, Store other, Start run, string stale)
    {
        switch (stale)
        {
            case "other owner":
                await other.RegisterAsync();
                Assert.Equal(other.Silo, (await other.Claims.ClaimAsync(run.Id, force: true))!.Row.Owner);
                break;
            case "released":
                await store.ReleaseAsync(run, position: 2);
                break;
            case "ended" or "set aside":
                var last = Store.Entry(run, position: 2);
                (last.Status, last.Leaves) = (stale == "ended" ? WorkflowStatus.Completed : WorkflowStatus.SetAside, true);
                await store.CommitAsync(last);
                break;
        }

        var after = stale is "ended" or "set aside" ? 3 : 2;
        var entry = WithEverything(stale switch
        {
            "stale epoch" => Store.Entry(run, epoch: 0, position: 2),
            "future epoch" => Store.Entry(run, epoch: 2, position: 2),
            "stale position" => Store.Entry(run, position: 0, rows: 3),
            "future position" => Store.Entry(run, position: 3),
            _ => Store.Entry(run, position: after),
        });
        entry.NotBefore = stale == "early" ? DateTimeOffset.UtcNow.AddHours(1) : null;
        return entry;
    }

    private static Entry WithEverything(Entry entry)
    {
        entry.Rows.Add(new JournalRow(JournalKind.TimerSet, 70 + entry.Position, "sleep", default)
        {
            Position = entry.Next + 1, DueAt = DateTimeOffset.UtcNow.AddHours(2),
        });
        entry.Outbox.Add(new OutgoingRow(1, "hook", "topic", "key", Store.Json("3")));
        entry.ClearedTimers = [70];
        entry.ClearedLetters = ["m"];
        return entry;
    }

    private static async Task<string> TransactionAsync(Store store, Entry entry, string note)
    {
        await using var transaction = await TransactionCommit.BeginAsync(
            store.Database, store.Journal, IsolationLevel.ReadCommitted, TestContext.Current.CancellationToken);
        await using var insert = new NpgsqlCommand(
            "insert into business values ($1)", transaction.Connection) { Parameters = { new() { Value = note } } };
        await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        return (await transaction.CommitAsync(entry)).Outcome.ToString();
    }
}
