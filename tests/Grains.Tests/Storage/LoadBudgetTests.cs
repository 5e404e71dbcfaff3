using Actors.Storage;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What is loaded at once is bounded, goes on before more is loaded, and who dies of loading blames nobody.</summary>
public sealed class LoadBudgetTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Large_histories_are_loaded_as_long_as_there_is_room_and_the_others_when_those_have_gone_on()
    {
        const int Runs = 16;
        await using var owner = new Store(database.ConnectionString);
        await using var store = new Store(database.ConnectionString);
        await store.RegisterAsync();
        var runs = new List<Start>();
        for (var i = 0; i < Runs; i++)
        {
            runs.Add(await owner.StartAsync($"large {i}"));
            await owner.ReleaseAsync(runs[i]);
        }

        await Store.ExecuteAsync(database.DataSource, """
            insert into actors.journal (instance, at, position, seq, kind, name, payload)
            select w.instance, now(), p + 10, p + 10, 1, 'large', to_json(t.text)
            from (select string_agg(md5(n::text || random()), '') as text from generate_series(1, 32768) n) t, actors.runs w, generate_series(1, 3) p
            where w.id like 'large %'
            """); // 3 MiB each.
        var claims = runs.ConvertAll(run => store.Claims.ClaimAsync(run.Id));
        while (claims.Count(claim => claim.IsCompleted) < 10)
        {
            await Task.Delay(10, Cancel);
        }

        await Task.Delay(500, Cancel); // What comes in spite of the limit has come by then.
        Assert.InRange(claims.Count(claim => claim.IsCompleted), 10, 13);
        var small = await owner.StartAsync("small");
        await owner.ReleaseAsync(small);
        var waits = store.Claims.ClaimAsync(small.Id);
        while (claims.Exists(claim => !claim.IsCompleted))
        {
            claims.FindAll(claim => claim.IsCompleted).ForEach(claim => claim.Result!.Replayed());
            await Task.Delay(10, Cancel);
        }

        Assert.All(claims, claim => Assert.Equal(4, claim.Result!.History.Count));
        Assert.Single((await waits)!.History, row => row.Kind == JournalKind.Started);
    }

    [Fact]
    public async Task A_silo_that_dies_while_it_loads_a_run_does_not_count_as_killed_by_it_and_one_that_had_entered_does()
    {
        StoredRun row;
        await using (var first = new Store(database.ConnectionString))
        {
            row = (await LoadAsync(first, (await first.StartAsync("loaded")).Id)).Row;
        }

        for (var i = 0; i < 12; i++)
        {
            await using var silo = new Store(database.ConnectionString);
            row = (await LoadAsync(silo, row.Id)).Row;
        }

        Assert.Equal(2, row.CrashCount);
        for (var count = 3; count < 6; count++)
        {
            await using var silo = new Store(database.ConnectionString);
            await silo.RegisterAsync();
            row = (await silo.Claims.ClaimAsync(row.Id))!.Row;
            Assert.Equal(count, await silo.Claims.EnterAsync(row));
            await SiloRegistry.DeclareDeadAsync(database.DataSource, silo.Silo, Cancel);
        }
    }

    private async Task<LoadedRun> LoadAsync(Store silo, WorkflowId id)
    {
        await silo.RegisterAsync();
        var loaded = (await silo.Claims.ClaimAsync(id))!;
        await SiloRegistry.DeclareDeadAsync(database.DataSource, silo.Silo, Cancel);
        return loaded;
    }
}
