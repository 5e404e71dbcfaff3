using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>The fence stands in three texts: for a group, for a group of one, and in the function for an ordinary transition. One table of
/// cases holds all three to the same.</summary>
public sealed class FenceTextTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly string[] Ways = ["ordinary", "one", "many"];

    // What is done to the row of a run that this silo owns at epoch 1 and position 0, and to its entry.
    private static readonly (string Name, string Sql, Action<Entry> Change, bool Passes)[] Cases =
    [
        ("as it is", "", _ => { }, true),
        ("another epoch", "update actors.runs set epoch = 2 where instance = {0}", _ => { }, false),
        ("an epoch to come", "", entry => entry.Epoch = 2, false),
        ("another position", "update actors.runs set position = 3 where instance = {0}", _ => { }, false),
        ("another owner", "update actors.runs set owner = gen_random_uuid() where instance = {0}", _ => { }, false),
        ("no owner", "update actors.runs set owner = null where instance = {0}", _ => { }, false),
        ("ended", "update actors.runs set status = 1, ended_at = now(), owner = null where instance = {0}", _ => { }, false),
        ("set aside", "update actors.runs set status = 3 where instance = {0}", _ => { }, false),
        ("a timer that is due", "", entry => entry.NotBefore = DateTimeOffset.UtcNow.AddHours(-1), true),
        ("a timer that is not", "", entry => entry.NotBefore = DateTimeOffset.UtcNow.AddHours(1), false),
        ("a letter, and no end", Letter, _ => { }, true),
        ("a letter before its end", Letter, Ends, false),
        ("an undelivered letter before its end", $"{Letter}; update actors.inbox set state = 1 where workflow = {{0}}", Ends,
            true),
        ("a parked letter before its end", $"{Letter}; update actors.inbox set state = 2 where workflow = {{0}}", Ends, true),
        ("its end", "", Ends, true),
        ("set aside by it", "", entry => (entry.Status, entry.Leaves) = (WorkflowStatus.SetAside, true), true),
        ("deleted", "delete from actors.runs where instance = {0}", _ => { }, false),
    ];

    private const string Letter =
        "insert into actors.inbox (workflow, at, code, message_id, name) select workflow, now(), code, 'm', 'mail' from actors.runs "
            + "where instance = {0}";

    public static TheoryData<string, string> All => [.. from way in Ways from one in Cases select (way, one.Name)];

    [Theory]
    [MemberData(nameof(All))]
    public async Task The_fence_says_the_same_in_each_of_its_texts(string way, string name)
    {
        var (_, sql, change, passes) = Cases.Single(one => one.Name == name);
        await using var store = new Store(database.ConnectionString);
        var run = await store.StartAsync($"{way} {name}");
        var entry = Store.Entry(run, rows: way == "ordinary" ? 1 : 2);
        List<Entry> entries = [entry];
        if (way == "many")
        {
            entries.Add(Store.Entry(await store.StartAsync($"beside {name}")));
        }

        change(entry);
        if (sql.Length > 0)
        {
            await Store.ExecuteAsync(
                database.DataSource, string.Format(System.Globalization.CultureInfo.InvariantCulture, sql, run.Instance));
        }

        await using var connection = await store.Database.Engine.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var batch = connection.CreateBatch();
        new CommitBatch([], entries, store.Silo).Write(batch);
        Assert.Equal(way == "ordinary" && entry.IsOrdinary, Store.Texts(batch).Contains(SqlText.Get("commit_transition")));
        var error = await Record.ExceptionAsync(() => batch.ExecuteNonQueryAsync(TestContext.Current.CancellationToken));
        Assert.Equal(passes ? null : "AC001", (error as PostgresException)?.SqlState);
        Assert.Equal(passes, error is null);
        var written = await Store.ScalarAsync<long>(
            database.DataSource, $"select count(*) from actors.journal where position > 0 and instance in "
                + $"({string.Join(", ", entries.Select(one => one.Instance))})");
        Assert.Equal(passes ? entries.Sum(one => one.Rows.Count) : 0, written);
    }

    private static void Ends(Entry entry) => (entry.Status, entry.Leaves) = (WorkflowStatus.Completed, true);
}
