using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>What only a later build understands is left to it: nothing is lost, set aside or swept again, and its status says why.</summary>
[EachPostgres]
public sealed class NotMineTests : IAsyncLifetime
{
    private const int Kind = 999;
    private const int Flag = 14;
    private const string Version = "7";
    private TestDatabase _database = null!;

    public static TheoryData<string> All => ["kind", "flag", "version"];

    public async ValueTask InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static async Task<string> WaitForTwo(Scripted w)
    {
        await w.WaitUntil(() => w.Heard.Count == 2, TimeSpan.FromDays(1), "two pokes");
        return string.Join(",", w.Heard);
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task A_run_of_a_later_build_is_left_alone_and_taken_by_a_silo_that_knows_it(string what)
    {
        await using var engine = await _database.ScriptAsync(WaitForTwo);
        await MakeAsync(engine, what);
        await _database.ExecuteAsync("update actors.timers set due_at = now() - interval '1 minute'");
        var journal = await _database.JournalAsync("later");
        for (var sweeps = 0; sweeps < 3; sweeps++)
        {
            foreach (var id in await engine.SweepAsync())
            {
                await engine.WakeAsync(id);
            }
        }

        Assert.Empty(await engine.SweepAsync());
        await engine.PokeAsync("later", "two", "m2");
        await _database.ExecuteAsync("select actors.send('default', 'later', 'm2', 'Poke', '[\"two\"]')");
        await engine.SweepAsync(); // Puts the letter aside, if it came too late for the sender to know.
        Assert.Empty(await engine.SweepAsync());
        Assert.Null(engine.Engine.Resident(new WorkflowId("later")));
        Assert.Equal(journal, await _database.JournalAsync("later"));
        var status = await engine.StatusAsync("later");
        Assert.Equal((int)WorkflowStatus.Running, status.Status);
        Assert.Null(status.Owner);
        var (waitsFor, name) = what switch
        {
            "kind" => (WaitingFor.LaterBuild, "waits for a silo that knows journal kind 999"),
            "flag" => (WaitingFor.LaterSemantics, "waits for a silo that knows flag 14"),
            _ => (WaitingFor.Version, "No silo that lives has version '7' of the workflow type Scripted."),
        };
        Assert.Equal((waitsFor, name), (status.Waits!.For, status.Waits.Sentence));
        await Assert.ThrowsAsync<WorkflowUnavailableException>(() => engine.ResultAsync<string>("later", TimeSpan.FromSeconds(1)));

        await _database.ExecuteAsync("update actors.timers set due_at = now() + interval '1 day'");
        await using var knowing = await _database.ScriptAsync(WaitForTwo, actors =>
        {
            actors.Formats = new KnownFormats(Kind, Flag + 1);
            actors.Workflows.Versions["Scripted"] = Version;
        });
        Assert.Equal(["later"], await knowing.SweepAsync());
        await knowing.WakeAsync("later");
        Assert.Equal("one,two", await knowing.ResultAsync<string>("later"));
        Assert.Equal(0, await _database.ScalarAsync<int>("select count(*) from actors.timers"));
        Assert.Equal(0, await _database.ScalarAsync<int>("select count(*) from actors.waits"));
    }

    [Fact]
    public async Task The_first_claim_of_a_silo_with_a_declared_version_sets_it()
    {
        await _database.ExecuteAsync("select actors.register_type('Scripted')");
        await _database.ExecuteAsync("select actors.start_workflow('default', 'undeclared', 'Scripted', '\"\"')");
        await using var engine = await _database.ScriptAsync(WaitForTwo, actors => actors.Workflows.Versions["Scripted"] = "2");
        await engine.WakeAsync("undeclared");
        await engine.StartAsync("declared");
        Assert.Equal("2,2", await _database.ScalarAsync<string>("select string_agg(version, ',') from actors.runs join actors.codes using (code)"));
        await using var other = await _database.ScriptAsync(WaitForTwo, actors => actors.Workflows.Versions["Scripted"] = "3");
        await engine.DieAsync();
        await Assert.ThrowsAsync<WorkflowUnavailableException>(() => other.ResultAsync<string>("declared", TimeSpan.FromSeconds(1)));
        Assert.Empty(await other.SweepAsync());
    }

    [Theory]
    [InlineData("update actors.timers set due_at = now() - interval '1 minute'")]
    [InlineData("select actors.send('default', 'later', 'm2', 'Poke', '[\"two\"]')")]
    [InlineData("insert into actors.silos (id, started_at, alive_until, dead_at, name, address) values (gen_random_uuid(), now(), now(), now(), 'dead', "
        + "'gone'); update actors.runs set owner = (select id from actors.silos where name = 'dead')")]
    public async Task What_the_silo_of_its_partition_lacks_the_code_for_is_found_from_elsewhere(string work)
    {
        await using var engine = await _database.ScriptAsync(WaitForTwo);
        await MakeAsync(engine, "version");
        await _database.ExecuteAsync(work);
        Assert.Empty(await engine.SweepAsync());
        await using var knowing = await _database.ScriptAsync(WaitForTwo, actors => actors.Workflows.Versions["Scripted"] = Version);
        var partition = Partition.Of(await _database.ScalarAsync<long>("select instance from actors.runs"));
        Assert.Equal(["later"], await knowing.SweepAsync(without: partition));
    }

    /// <summary>A run that rests with a message read, a timer, and a letter, as a later build would have left it.</summary>
    private async Task MakeAsync(TestEngine engine, string what)
    {
        await engine.StartAsync("later");
        await engine.PokeAsync("later", "one", "m1");
        await engine.RestAsync("later");
        await _database.ExecuteAsync(what switch
        {
            "kind" => $"""
                with run as (update actors.runs set position = position + 1 returning instance, position)
                insert into actors.journal (instance, at, position, seq, kind, name) select instance, now(), position, 0, {Kind}, 'later' from run
                """,
            "flag" => $"update actors.runs set flags = flags | (1 << {Flag})::smallint",
            _ => $"""
                insert into actors.codes (type, version) values ('Scripted', '{Version}');
                update actors.runs set code = (select code from actors.codes where version = '{Version}');
                update actors.timers set code = (select code from actors.codes where version = '{Version}');
                """,
        });
    }
}
