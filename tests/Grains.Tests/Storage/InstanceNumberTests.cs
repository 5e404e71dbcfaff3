using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Numbers of runs follow the database's time, fill partitions evenly, and are nobody's twice.</summary>
[EachPostgres]
public sealed class InstanceNumberTests
{
    private static readonly DateTimeOffset Epoch = new(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static Task<string> Return(Scripted w) => Task.FromResult(w.Input);

    [Fact]
    public async Task Runs_a_second_apart_are_in_the_order_of_time_whoever_made_them()
    {
        await using var database = await TestDatabase.CreateAsync();
        var clock = await TestClock.CreateAsync(database);
        await using var one = await database.ScriptAsync(Return);
        await using var two = await database.ScriptAsync(Return);
        for (var i = 0; i < 6; i++)
        {
            var at = await clock.NowAsync();
            if (i % 3 == 2)
            {
                await database.ExecuteAsync($"select actors.start_workflow('default', 'run {i}', 'Scripted', '\"\"')");
            }
            else
            {
                var engine = i % 3 == 0 ? one : two;
                engine.Engine.SkipNumbers(); // As after a second.
                await engine.StartAsync($"run {i}");
            }

            var number = await database.ScalarAsync<long>($"select instance from actors.runs where id = 'run {i}'");
            Assert.InRange(Epoch.AddMilliseconds(number >> 22), at.AddMilliseconds(-1), await clock.NowAsync());
            await clock.MoveAsync(TimeSpan.FromSeconds(1));
        }

        Assert.Equal("run 0,run 1,run 2,run 3,run 4,run 5",
            await database.ScalarAsync<string>("select string_agg(id, ',' order by instance) from actors.runs"));
    }

    [Fact]
    public async Task A_block_is_used_for_a_second_at_most()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var store = new Store(database.ConnectionString);
        var time = new MovableTime();
        using var numbers = new InstanceNumbers(store.Database, time);
        var first = await numbers.TakeAsync();
        Assert.Equal(first + 1, await numbers.TakeAsync());
        time.Now += TimeSpan.FromSeconds(1);
        var next = await numbers.TakeAsync();
        Assert.NotEqual(first >> 10, next >> 10);
        Assert.Equal(0, next & 1023);
        Assert.True(next > first);
    }

    [Fact]
    public async Task One_statement_starts_more_runs_than_a_millisecond_has_blocks_for()
    {
        await using var database = await TestDatabase.CreateAsync();
        await database.ExecuteAsync("select actors.register_type('Scripted')");
        await database.ExecuteAsync("""
            set statement_timeout = '60s';
            do $$ begin for i in 1..4200 loop perform actors.start_workflow('default', 'r' || i, 'Scripted', '1'); end loop; end $$
            """);
        Assert.Equal(4200, await database.ScalarAsync<int>("select count(*) from actors.runs"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(30)]
    [InlineData(1024)]
    public void Partitions_fill_evenly_at_any_load(int runsABlock)
    {
        var (random, ranges, runs) = (new Random(1), new int[Partition.RangeCount], 0);
        for (long block = 0, at = 50_000_000_000; runs < 200_000; block++, at += random.Next(1, 2000))
        {
            for (var place = 0; place < runsABlock; place++, runs++)
            {
                ranges[Partition.Of((at << 22) | ((block & 4095) << 10) | (long)place) / (Partition.Count / Partition.RangeCount)]++;
            }
        }

        Assert.All(ranges, count => Assert.InRange(count, 0.7 * runs / ranges.Length, 1.3 * runs / ranges.Length));
    }

    [Fact]
    public async Task Partitions_are_the_same_in_SQL()
    {
        await using var database = await TestDatabase.CreateAsync();
        var random = new Random(2);
        for (var i = 0; i < 200; i++)
        {
            var number = i < 100 ? random.NextInt64() : -random.NextInt64();
            Assert.Equal(Partition.Of(number), await database.ScalarAsync<short>($"select actors.partition_of({number}::bigint)"));
        }
    }

    /// <summary>The clock goes back by an hour, to the millisecond in which a block was taken, and its counter comes round.</summary>
    [Theory]
    [InlineData("start")]
    [InlineData("group")]
    [InlineData("new run")]
    [InlineData("SQL")]
    [InlineData("bulk SQL")]
    public async Task A_number_that_another_run_has_is_told_by_its_uuid_and_another_is_taken(string door)
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return w.Input + w.Heard[0];
        });
        await StandAsync(database);
        for (var i = 0; i < 30; i++)
        {
            await engine.StartAsync($"before {i}", "before");
        }

        await engine.StartAsync("chain", "chain");
        await engine.PokeAsync("chain", "!");
        Assert.Equal("chain!", await engine.ResultAsync<string>("chain"));

        engine.Engine.SkipNumbers();
        await StandAsync(database);
        string[] ids = door switch
        {
            "group" => [.. Enumerable.Range(0, 8).Select(i => $"after {i}")],
            "new run" => ["chain"],
            _ => ["after"],
        };
        switch (door)
        {
            case "SQL":
                await database.ExecuteAsync("select actors.start_workflow('default', 'after', 'Scripted', '\"after\"')");
                break;
            case "bulk SQL":
                await database.ExecuteAsync(
                    "select actors.start_workflows('default', 'Scripted', array['after', 'before 3'], array['\"after\"', '\"no\"']::json[])");
                break;
            default:
                var policy = door == "new run" ? StartPolicy.StartNew : StartPolicy.Attach;
                Assert.All(await Task.WhenAll(ids.Select(id => engine.StartAsync(id, "after", policy))), reply => Assert.True(reply.Started));
                break;
        }

        foreach (var id in ids)
        {
            await engine.WakeAsync(id);
            await engine.PokeAsync(id, "!");
            Assert.Equal("after!", await engine.ResultAsync<string>(id));
        }

        for (var i = 0; i < 30; i++)
        {
            await engine.PokeAsync($"before {i}", "?");
            Assert.Equal("before?", await engine.ResultAsync<string>($"before {i}"));
        }

        Assert.Equal(31 + ids.Length, await database.ScalarAsync<int>("select count(*) from actors.runs"));
        Assert.Equal(0, await database.ScalarAsync<int>(
            "select count(*) from (select instance from actors.journal where kind = 0 group by instance having count(*) <> 1) twice"));
    }

    private sealed class MovableTime : TimeProvider
    {
        public TimeSpan Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.Ticks;
    }

    /// <summary>The same time, and the same block next.</summary>
    private static Task StandAsync(TestDatabase database) => database.ExecuteAsync("""
        create or replace function actors.now() returns timestamptz language sql stable parallel safe return timestamptz '2026-06-01T12:00:00Z';
        select setval('actors.instances', 7);
        """);
}
