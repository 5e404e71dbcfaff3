using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>A start with a delay: a row and a timer until its time, then a run like any other.</summary>
[EachPostgres]
public sealed class DelayTests : IAsyncLifetime
{
    private static readonly TimeSpan Delay = TimeSpan.FromHours(3);
    private TestDatabase _database = null!;
    private TestClock _clock = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _database = await TestDatabase.CreateAsync();
        _clock = await TestClock.CreateAsync(_database);
    }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Theory]
    [InlineData("a silo")]
    [InlineData("SQL")]
    [InlineData("bulk SQL")]
    public async Task A_delayed_start_begins_at_its_time_and_not_before(string door)
    {
        await using var engine = await _database.ScriptAsync(w => Task.FromResult($"{w.Input} at {w.Now:O}"));
        await StartAsync(engine, door);
        var status = await engine.StatusAsync("later");
        Assert.Equal(((int)WorkflowStatus.NotBegun, 0, null), (status.Status, status.Position, status.Owner));
        Assert.Equal(WaitingFor.Begin, status.Waits!.For);
        Assert.InRange(status.Waits.Until!.Value - await _clock.NowAsync(), Delay - TimeSpan.FromMinutes(1), Delay);
        Assert.Contains("it begins at ", status.Waits.Sentence, StringComparison.Ordinal);

        await engine.WakeAsync("later");
        Assert.Null(engine.Engine.Resident(new WorkflowId("later")));
        Assert.Empty(await engine.SweepAsync());
        Assert.False((await engine.Engine.ResultAsync(new WorkflowId("later"), new ResultCall { Limit = TimeSpan.FromMilliseconds(100) })).Ended);
        Assert.Contains("has not begun",
            (await Assert.ThrowsAsync<WorkflowUnavailableException>(() => engine.AskAsync("later"))).Message, StringComparison.Ordinal);
        Assert.False((await engine.StartAsync("later")).Started);

        await _clock.MoveAsync(Delay);
        Assert.Equal(["later"], await engine.SweepAsync());
        await engine.WakeAsync("later");
        var result = await engine.ResultAsync<string>("later");
        Assert.StartsWith("input at ", result, StringComparison.Ordinal);
        Assert.Equal(0, await _database.ScalarAsync<int>("select count(*) from actors.timers"));
    }

    [Fact]
    public async Task What_comes_before_it_begins_is_kept_and_told_when_it_has_begun()
    {
        await using var engine = await _database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 3);
            return string.Join(",", w.Heard);
        });
        await StartAsync(engine, "a silo");
        await engine.PokeAsync("later", "one", "m1");
        await engine.PokeAsync("later", "one", "m1");
        await _database.ExecuteAsync("select actors.send('default', 'later', 'm2', 'Poke', '[\"two\"]')");
        Assert.Equal(2, await _database.ScalarAsync<int>("select count(*) from actors.inbox where state = 2"));
        await _clock.MoveAsync(Delay);
        await engine.WakeAsync("later");
        await engine.PokeAsync("later", "three");
        Assert.Equal("one,two,three", await engine.ResultAsync<string>("later"));
        Assert.Equal(0, await _database.ScalarAsync<int>("select flags from actors.runs"));
    }

    [Fact]
    public async Task It_outlives_the_silo_that_started_it_and_one_that_dies_as_it_begins()
    {
        await using (var gone = await _database.ScriptAsync(_ => Task.FromResult("")))
        {
            await StartAsync(gone, "a silo");
            await gone.DieAsync();
        }

        await _clock.MoveAsync(Delay);
        await using (var claimed = await _database.ScriptAsync(w => w.Step("hangs", _ => new TaskCompletionSource<string>().Task)))
        {
            await claimed.WakeAsync("later");
            Assert.Equal(claimed.Silo, (await claimed.StatusAsync("later")).Owner);
            await claimed.DieAsync();
        }

        await using var engine = await _database.ScriptAsync(w => Task.FromResult(w.Input));
        Assert.Equal("input", await engine.ResultAsync<string>("later"));
    }

    [Fact]
    public async Task A_repeat_of_its_start_s_commit_sets_no_timer_once_it_has_begun()
    {
        await using var engine = await _database.ScriptAsync(w => Task.FromResult(w.Input));
        await StartAsync(engine, "a silo");
        await _clock.MoveAsync(Delay);
        await engine.WakeAsync("later");
        Assert.Equal("input", await engine.ResultAsync<string>("later"));
        await using var again = _database.DataSource.CreateCommand(SqlText.ForOne("append_delays"));
        again.Parameters.Add(new Npgsql.NpgsqlParameter { Value = await _database.ScalarAsync<long>("select instance from actors.runs") });
        again.Parameters.Add(new Npgsql.NpgsqlParameter { Value = Delay });
        await again.ExecuteNonQueryAsync(Cancel);
        Assert.Equal(0, await _database.ScalarAsync<int>("select count(*) from actors.timers"));
    }

    [Fact]
    public async Task Zero_and_less_begin_at_once_and_the_farthest_begins_in_the_year_9999()
    {
        await using var engine = await _database.ScriptAsync(w => Task.FromResult(w.Input));
        foreach (var (id, delay) in new[] { ("zero", TimeSpan.Zero), ("infinite", Timeout.InfiniteTimeSpan), ("less", -Delay) })
        {
            await StartAsync(engine, "a silo", id, delay);
            Assert.Equal("input", await engine.ResultAsync<string>(id));
        }

        await StartAsync(engine, "a silo", "never", TimeSpan.MaxValue);
        Assert.Equal(9999, (await engine.StatusAsync("never")).Waits!.Until!.Value.Year);
        await StartAsync(engine, "SQL", "zero in SQL", TimeSpan.Zero);
        Assert.Equal("input", await engine.ResultAsync<string>("zero in SQL"));
    }

    [Fact]
    public async Task A_request_is_repeated_and_a_first_message_comes_first()
    {
        await using var engine = await _database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 2);
            return string.Join(",", w.Heard);
        });
        var first = new SignalCall("Poke", false, engine.Engine.Context.Payloads.Write(new[] { "first" }, $"arguments"), "m");
        var call = Call(engine, Delay) with { Policy = StartPolicy.StartNew, RequestId = "r", Signal = first };
        var made = await engine.Engine.StartAsync(new WorkflowId("later"), call);
        Assert.Equal((made.Run, true), await AgainAsync());
        await _clock.MoveAsync(Delay);
        await engine.WakeAsync("later");
        await engine.PokeAsync("later", "second");
        Assert.Equal("first,second", await engine.ResultAsync<string>("later"));
        Assert.Equal((made.Run, true), await AgainAsync());

        async Task<(Guid, bool)> AgainAsync()
        {
            var again = await engine.Engine.StartAsync(new WorkflowId("later"), call);
            return (again.Run, again.Started);
        }
    }

    private static StartCall Call(TestEngine engine, TimeSpan delay) =>
        new("Scripted", engine.Engine.Context.Payloads.Write("input", $"input"), StartPolicy.Attach, null, Delay: delay);

    private async Task StartAsync(TestEngine engine, string door, string id = "later", TimeSpan? delay = null)
    {
        var interval = $"make_interval(secs => {(delay ?? Delay).TotalSeconds.ToString(System.Globalization.CultureInfo.InvariantCulture)})";
        switch (door)
        {
            case "a silo":
                Assert.True((await engine.Engine.StartAsync(new WorkflowId(id), Call(engine, delay ?? Delay))).Started);
                break;
            case "SQL":
                await _database.ExecuteAsync(
                    $"select actors.start_workflow('default', '{id}', 'Scripted', '\"input\"', delay => {interval})");
                break;
            default:
                await _database.ExecuteAsync(
                    $"select actors.start_workflows('default', 'Scripted', array['{id}'], array['\"input\"']::json[], delay => {interval})");
                break;
        }
    }
}
