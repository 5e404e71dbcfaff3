using System.Text.Json;
using Actors.Grains.Tests.Golden;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>
/// Histories that earlier versions wrote, replayed by today's code: the same workflow comes to the same end, or waits for the same.
/// <c>ACTORS_GOLDEN=rewrite</c> adds this version's and never changes one that stands: a later version must replay them all.
/// </summary>
public sealed class JournalGoldenTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const string File = "journals.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    [Fact]
    public async Task Histories_of_every_version_are_replayed()
    {
        var stored = await GoldenFile.ReadAsync(File) is { Length: > 0 } text ? JsonSerializer.Deserialize<List<History>>(text)! : [];
        await using var engine = await database.ScriptAsync(Recorded);
        if (Environment.GetEnvironmentVariable("ACTORS_GOLDEN") == "rewrite" && !stored.Exists(IsOfThisVersion))
        {
            await RecordAsync(engine);
            stored.AddRange([await ReadAsync("ends"), await ReadAsync("waits")]);
            await GoldenFile.CheckAsync(File, JsonSerializer.Serialize(stored, Indented) + "\n");
        }

        Assert.True(stored.Exists(IsOfThisVersion), "This version's histories are missing: run tests/Grains.Tests/Golden/rewrite.");
        foreach (var history in stored)
        {
            Assert.Equal(history.Outcome, Replayed(engine, history));
        }
    }

    /// <summary>Every kind of row that code can bring about, and a wait for more. Changed, it needs a patch like any workflow.</summary>
    private static async Task<string> Recorded(Scripted w)
    {
        var told = new List<string> { $"{w.NewGuid()} {w.Random.Next(1000)}", $"{w.Now.ToUnixTimeMilliseconds() > 0}" };
        told.Add(await w.Step("a step", () => "step"));
        told.Add(await w.Step("tried again", step => step.Attempt < 2
            ? throw new TimeoutException("once") : Task.FromResult($"attempt {step.Attempt}"), Retry.Exponential(3, TimeSpan.FromMilliseconds(1))));
        told.Add(await CaughtAsync(() => w.Step("fails", step => step.Attempt > 0 ? throw new FormatException("failed") : Task.FromResult(""))));
        told.Add($"{await w.Transaction("transaction", _ => Task.FromResult(7))}");
        told.Add(await CaughtAsync(() => w.Transaction<string>("fails too", _ => throw new FormatException("rolled back"))));
        w.Publish("topic", "key", "message");
        await w.Sleep(TimeSpan.FromMilliseconds(1));
        await w.WaitUntil(() => told.Count > 0); // At once.
        told.Add($"{await w.WaitUntil(() => false, TimeSpan.FromMilliseconds(1))}");
        told.Add($"{await w.Receive<int>("numbers")} {await w.Receive<int>("numbers")}"); // The first of them cannot be read.
        var (left, right) = (w.Step("left", () => "left"), w.Step("right", () => "right"));
        told.Add((await Task.WhenAll(left, right))[1]);
        await w.WaitUntil(() => w.Heard.Count == 3, "three pokes");
        return string.Join("; ", told.Concat(w.Heard));
    }

    private static async Task<string> CaughtAsync(Func<Task<string>> body)
    {
        try
        {
            return await body();
        }
        catch (StepFailedException error)
        {
            return error.Message;
        }
    }

    private async Task RecordAsync(TestEngine engine)
    {
        foreach (var id in new[] { "ends", "waits" })
        {
            await database.ExecuteAsync($"""
                begin;
                select actors.start_workflow('default', '{id}', 'Scripted', '"input"');
                select actors.send('default', '{id}', 'm-1', 'Poke', '["before"]');
                select actors.send('default', '{id}', 'm-2', 'numbers', '1');
                commit;
                """);
            await engine.WakeAsync(id);
            await engine.SendAsync(id, "numbers", "no number", "m-3");
            await engine.SendAsync(id, "numbers", 2, "m-4");
            await engine.PokeAsync(id, "second", "m-5");
            while ((await engine.StatusAsync(id)).Waits is not { Name: "three pokes" })
            {
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }
        }

        await engine.PokeAsync("ends", "third", "m-6");
        await engine.ResultAsync<string>("ends");
    }

    private async Task<History> ReadAsync(string id)
    {
        await using var engine = await database.ScriptAsync(Recorded);
        var loaded = (await engine.Engine.Context.Claims.ReadAsync(new WorkflowId(id)))!;
        var history = new History(Migrator.BinaryGeneration, id, loaded.Row.Run, "", [.. loaded.History.Select(Row.Of)]);
        return history with { Outcome = Replayed(engine, history) };
    }

    private static bool IsOfThisVersion(History history) => history.Version == Migrator.BinaryGeneration;

    private static string Replayed(TestEngine engine, History history)
    {
        var run = new StoredRun(
            new WorkflowId(history.Id), 1, history.Run, Scripted.Name, WorkflowStatus.Running, 1, history.Rows[^1].Position, 0, null,
            history.Rows[0].At, null, null, false, 1);
        var program = Actors.Execution.Replay.Run(
            engine.Engine.Context, new LoadedRun(run, [.. history.Rows.Select(row => row.Journal())], []), engine.Services);
        return program.HasEnded ? System.Text.Encoding.UTF8.GetString(program.EndRow().Payload.Data!)
            : string.Join(", ", program.Waiting.Select(wait => $"{wait.Kind} {wait.Name} (seq {wait.Seq})"));
    }

    private sealed record History(int Version, string Id, Guid Run, string Outcome, List<Row> Rows);

    private sealed record Row(
        int Position, int Kind, int Seq, string Name, DateTimeOffset At, DateTimeOffset? DueAt, int Messages, string? MessageId, string? Payload)
    {
        public static Row Of(JournalRow row) => new(
            row.Position, (int)row.Kind, row.Seq, row.Name, row.At, row.DueAt, row.Messages, row.MessageId,
            row.Payload.Data is { } data // Stacks name files of the machine that wrote them.
                ? System.Text.Encoding.UTF8.GetString(data).Replace($"{TestPostgres.RepositoryFolder}/", "", StringComparison.Ordinal) : null);

        public JournalRow Journal() => new(
            (JournalKind)Kind, Seq, Name, Payload is null ? default : new Payload(System.Text.Encoding.UTF8.GetBytes(Payload)))
        {
            Position = Position, At = At, DueAt = DueAt, Messages = Messages, MessageId = MessageId,
        };
    }
}
