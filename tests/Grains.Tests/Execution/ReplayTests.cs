using Actors.Execution;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Same code, same history: what a crash anywhere leaves to the next owner.</summary>
public sealed class ReplayTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly Retry Quick = Retry.Exponential(3, TimeSpan.FromMilliseconds(1));

    [Fact]
    public async Task Recorded_results_are_not_executed_again_after_a_crash()
    {
        var (calls, gate) = (0, new Gate());
        Func<Scripted, Task<string>> Code(Func<Task> hold) => async w =>
        {
            var once = await w.Step("once", () => Interlocked.Increment(ref calls));
            await w.Step("hold", _ => hold());
            return $"{once}";
        };
        await using var first = await database.ScriptAsync(Code(gate.PassAsync));
        await using var second = await database.ScriptAsync(Code(() => Task.CompletedTask));
        await first.StartAsync("once");
        await gate.Reached;
        await first.DieAsync();

        Assert.Equal("1", await second.RunAsync("once"));
        Assert.Equal(1, calls);

        var stale = first.Engine.Resident(new WorkflowId("once"))!;
        var journal = await database.JournalAsync("once");
        gate.Open();
        await stale.Left.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(stale.Evicted == Eviction.Fenced);
        Assert.Equal(journal, await database.JournalAsync("once"));
    }

    [Fact]
    public async Task A_crash_before_or_after_any_commit_changes_neither_result_nor_history()
    {
        await database.ExecuteAsync("create table cuts (run uuid, what text)");
        await using var undisturbed = await database.ScriptAsync(Everything);
        var commits = 0;
        undisturbed.Probe.After = name => Task.FromResult(IsCommit(name) ? Interlocked.Increment(ref commits) : 0);
        var result = await DriveAsync(undisturbed, "undisturbed");
        var history = await HistoryAsync("undisturbed");
        Assert.True(commits >= 12, $"{commits} commits");

        foreach (var before in new[] { true, false })
        {
            for (var cut = 1; cut <= commits; cut += TestTier.IsAll ? 1 : 4)
            {
                var id = $"cut-{(before ? "before" : "after")}-{cut}";
                Assert.Equal((id, result), (id, await CutAsync(id, cut, before)));
                Assert.Equal(history, await HistoryAsync(id));
                Assert.Equal(2, await database.ScalarAsync<int>(
                    $"select count(*) from cuts c join actors.runs w using (run) where w.id = '{id}'"));
                Assert.Equal(3, await database.CountAsync("outbox", id));
                Assert.Equal(0, await database.CountAsync("timers", id));
                Assert.Equal(0, await database.CountAsync("inbox", id));
            }
        }
    }

    private static bool IsCommit(string name) => name is "commit" or "commit transaction";

    /// <summary>The process stands still at its k-th commit, is declared dead, and goes on when another has finished its work.</summary>
    private async Task<string> CutAsync(string id, int cut, bool before)
    {
        var (commits, gate) = (0, new Gate());
        await using var first = await database.ScriptAsync(Everything);
        await using var second = await database.ScriptAsync(Everything);
        async Task ProbeAsync(string name)
        {
            if (IsCommit(name) && Interlocked.Increment(ref commits) == cut)
            {
                await gate.PassAsync();
            }
        }

        first.Probe.Before = before ? ProbeAsync : null;
        first.Probe.After = before ? null : ProbeAsync;
        var stale = DriveAsync(first, id);
        if (await Task.WhenAny(stale, gate.Reached) == stale)
        {
            return await stale; // This time it needed fewer commits: more was ready at once.
        }

        await first.DieAsync();
        string result;
        try
        {
            result = await DriveAsync(second, id);
        }
        finally
        {
            gate.Open();
        }

        var history = await database.JournalAsync(id);
        // A commit of the stale owner, if nothing else is.
        await first.Engine.ReleaseAsync(new WorkflowId(id)).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(history, await database.JournalAsync(id));
        return result;
    }

    private static async Task<string> DriveAsync(TestEngine engine, string id)
    {
        await engine.StartAsync(id, "in");
        await engine.PokeAsync(id, "poked", "m1");
        await engine.SendAsync(id, "letters", "letter", "m2");
        return await engine.ResultAsync<string>(id);
    }

    private static async Task<string> Everything(Scripted w)
    {
        await w.Transaction("reserve", tx => InsertAsync(tx, w.Run, "reserved"));
        var fan = await Task.WhenAll(w.Step("x", () => 1), w.Step("y", () => 2), w.Step("z", () => 3));
        var (guid, random) = (w.NewGuid(), w.Random.Next());
        w.Publish("topic", "k", guid);
        await w.Sleep(TimeSpan.FromMilliseconds(1));
        var heard = await w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromHours(1));
        var letter = await w.Receive<string>("letters");
        var attempt = await w.Step(
            "flaky", step => step.Attempt == 1 ? throw new FormatException("once") : Task.FromResult(step.Attempt), Quick);
        var failure = "";
        try
        {
            await w.Step("fails", _ => throw new FormatException("always"), Retry.None);
        }
        catch (StepFailedException error)
        {
            failure = error.ErrorMessage;
        }

        var race = await Task.WhenAny(w.Sleep(TimeSpan.FromHours(1)), w.Step("fast", () => "fast"));
        var fast = race is Task<string> step ? await step : "slow";
        await w.Transaction("complete", tx => InsertAsync(tx, w.Run, "completed"));
        var seen = await w.Step("see", () => $"{guid} {random}"); // Recorded before some cuts, computed again after them.
        return $"{fan.Sum()} {heard} {letter} {attempt} {failure} {fast} {seen == $"{guid} {random}"}";
    }

    private static async Task<int> InsertAsync(TransactionContext tx, Guid run, string what)
    {
        await using var command = new NpgsqlCommand(
            "insert into cuts values ($1, $2)", tx.Connection) { Parameters = { new() { Value = run }, new() { Value = what } } };
        tx.Publish("topic", "k", what);
        return await command.ExecuteNonQueryAsync(tx.Cancellation);
    }

    /// <summary>What was recorded, whatever its order: parallel steps end in any.</summary>
    private async Task<List<string>> HistoryAsync(string id)
    {
        var rows = new List<string>();
        foreach (var row in await database.JournalAsync(id))
        {
            var words = row.Split(' ', 5);
            if (words[1] is not ("TimerSet" or "TimerFired") && words[3] != "see")
            {
                rows.Add(words[1].Contains("Failed", StringComparison.Ordinal) ? $"{words[1]} {words[3]}"
                    : $"{words[1]} {words[3]} {words[4]}");
            }
        }

        rows.Sort(StringComparer.Ordinal);
        return rows;
    }
}
