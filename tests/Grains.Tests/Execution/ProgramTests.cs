using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>
/// Random workflows: whatever the program, its replay does what its life did, and so does the life that another silo goes on with. A
/// failure names the seed; set it in <see cref="Seeds"/> to see it again.
/// </summary>
public sealed class ProgramTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private static readonly int Programs = TestTier.IsAll ? 15 : 5;
    private const string Trace = "trace: ";

    public static TheoryData<int> Seeds => [Environment.TickCount & 0xFFFF];

    public async ValueTask InitializeAsync() => await database.ExecuteAsync("create table effects (run uuid, what text)");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task Any_program_does_in_replay_and_after_a_crash_what_it_did_live(int seed)
    {
        for (var program = seed; program < seed + Programs; program++)
        {
            var id = $"program-{program}";
            var random = new Random(program);
            var (length, cut, before) = (random.Next(3, 12), random.Next(2, 12), random.Next(2) == 0);
            var code = new Script(
                Program(program, length)) { OnLook = w =>
                w.Heard.Find(text => text.StartsWith(Trace, StringComparison.Ordinal)) ?? "no end" };
            await using var first = await database.ScriptAsync(code);
            await using var second = await database.ScriptAsync(code);
            var (commits, gate) = (0, new Gate());
            Task Cut(string name) =>
                name.StartsWith("commit", StringComparison.Ordinal) && Interlocked.Increment(ref commits) == cut ? gate.PassAsync()
                : Task.CompletedTask;
            first.Probe.Before = before ? Cut : null;
            first.Probe.After = before ? null : Cut;
            var life = DriveAsync(first, id);
            string result;
            try
            {
                if (await Task.WhenAny(life, gate.Reached) != life)
                {
                    await first.DieAsync();
                    life = DriveAsync(second, id);
                }

                result = await life;
            }
            catch (Exception error)
            {
                throw new InvalidOperationException($"Program {program} did not end.", error);
            }
            finally
            {
                gate.Open();
            }

            Assert.Equal((id, result), (id, await second.AskAsync(id)));
            Assert.Equal(
                (id, 0, 0),
                (id, await database.CountAsync("timers", id), await database.ScalarAsync<int>($"""
                    select count(*) from (select e.what from effects e join actors.runs w using (run) where w.id = '{id}'
                        group by e.what having count(*) > 1) as twice
                    """)));
        }
    }

    private static async Task<string> DriveAsync(TestEngine engine, string id)
    {
        await engine.StartAsync(id);
        try
        {
            for (var i = 0; i < 3; i++)
            {
                await engine.PokeAsync(id, $"signal {i}", $"m{i}");
                await engine.SendAsync(id, "letters", $"letter {i}", $"l{i}");
            }
        }
        catch (WorkflowEndedException)
        {
            // It needed fewer.
        }

        return await engine.ResultAsync<string>(id);
    }

    private static Func<Scripted, Task<string>> Program(int seed, int length) => async w =>
    {
        var random = new Random(seed);
        var trace = new List<string>();
        for (var i = 0; i < length; i++)
        {
            trace.Add(await CommandAsync(w, random, $"c{i}", depth: 0));
        }

        w.Heard.Add(Trace + string.Join("; ", trace)); // Signals may follow.
        return w.Heard[^1];
    };

    // The choice must not depend on what the commands return: it is drawn before the first await.
    private static async Task<string> CommandAsync(Scripted w, Random random, string name, int depth)
    {
        switch (random.Next(depth < 2 ? 10 : 6))
        {
            case 0:
                await w.Sleep(TimeSpan.FromMilliseconds(random.Next(4)));
                return "slept";
            case 1:
                w.Publish("topic", name, w.NewGuid());
                return $"{w.NewGuid():N}"[..6] + w.Random.Next();
            case 2:
                return $"{await w.WaitUntil(() => w.Heard.Count > 1, TimeSpan.FromMilliseconds(random.Next(1, 4)))}";
            case 3:
                return await w.Transaction(name, async tx =>
                {
                    await using var insert = new NpgsqlCommand(
                        "insert into effects values ($1, $2)",
                        tx.Connection) { Parameters = { new() { Value = w.Run }, new() { Value = name } } };
                    await insert.ExecuteNonQueryAsync();
                    return $"{name} {Environment.TickCount64}";
                });
            case 4:
                var failures = random.Next(3);
                try
                {
                    return await w.Step(
                        name, step => step.Attempt <= failures ? throw new FormatException(name) : Task.FromResult($"{step.Attempt}"),
                        Retry.Exponential(2, TimeSpan.FromMilliseconds(1)));
                }
                catch (StepFailedException error)
                {
                    return error.Message;
                }

            case 5:
                return await w.Step(name, () => $"{name} {Guid.NewGuid():N}");
            case 6:
                return await await Task.WhenAny(
                    CommandAsync(w, random, name + "a", depth + 1), CommandAsync(w, random, name + "b", depth + 1));
            case 7:
                return await await Task.WhenAny(
                    CommandAsync(w, random, name + "a", depth + 1), CommandAsync(w, random, name + "b", depth + 1),
                    CommandAsync(w, random, name + "c", depth + 1));
            case 8:
                return string.Join("+",
                    await Task.WhenAll(Enumerable.Range(0, random.Next(2, 5)).Select(
                    i => CommandAsync(w, random, $"{name}{i}", depth + 1)).ToList()));
            default:
                var received = w.Receive<string>("letters");
                return await Task.WhenAny(received, w.Sleep(TimeSpan.FromMilliseconds(2))) == received ? await received : "no letter";
        }
    }
}
