using Npgsql;

namespace Actors.CrashScenarios;

/// <summary>The world outside: a table that steps write to on connections of their own, so that a crash cannot take it back.</summary>
internal sealed class World(NpgsqlDataSource source, Life life)
{
    private readonly TaskCompletionSource _mending = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>False: <see cref="Broken"/> does what no workflow may do, the step of <see cref="Lingers"/> does not end, and nobody takes
    /// messages of topic "refused".</summary>
    public bool IsMended => Mending.IsCompleted;

    /// <summary>Completes when it is.</summary>
    public Task Mending => _mending.Task;

    public void Mend() => _mending.TrySetResult();

    public Task<int> EffectAsync(StepContext step, int value) => life.OutsideAsync(async () =>
    {
        await using var command = source.CreateCommand("insert into effects (key, attempt) values ($1, $2)");
        command.Parameters.Add(new NpgsqlParameter { Value = step.IdempotencyKey });
        command.Parameters.Add(new NpgsqlParameter { Value = step.Attempt });
        await command.ExecuteNonQueryAsync(step.Cancellation);
        return value;
    });
}

internal sealed class Steps(World world) : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        var a = await Step("a", step => world.EffectAsync(step, input + 1));
        var both = await Task.WhenAll(Step("b", step => world.EffectAsync(step, a)), Step("c", step => world.EffectAsync(step, a + 1)));
        return both[0] + both[1];
    }
}

internal sealed class Retries(World world) : Workflow<int, int>
{
    protected override Task<int> RunAsync(int input) => Step(
        "flaky",
        async step => await world.EffectAsync(step, input) is var value && step.Attempt < 3
            ? throw new TimeoutException($"attempt {step.Attempt}") : value,
        Retry.Exponential(5, TimeSpan.FromMilliseconds(5), factor: 1));
}

internal sealed class Buys : Workflow<string, int>
{
    protected override async Task<int> RunAsync(string input)
    {
        var bought = 0;
        for (var i = 1; i <= 2; i++)
        {
            var note = $"{input} {i}";
            bought += await Transaction("buy", async tx =>
            {
                await using var command = new NpgsqlCommand(
                    "insert into business values ($1)", tx.Connection) { Parameters = { new() { Value = note } } };
                tx.Publish("orders", "k", note);
                return await command.ExecuteNonQueryAsync(tx.Cancellation);
            });
        }

        return bought;
    }
}

internal sealed class Publishes(World world) : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        Publish("orders", "k", "first");
        Publish("orders", "other", "second");
        var value = await Step("a", async step =>
        {
            step.Publish("orders", "k", "third");
            return await world.EffectAsync(step, input);
        });
        Publish("orders", "k", "fourth");
        return value;
    }
}

internal sealed class Refused : Workflow<int, int>
{
    protected override Task<int> RunAsync(int input)
    {
        Publish("refused", "k", "first");
        Publish("orders", "other", "second");
        return Task.FromResult(input);
    }
}

/// <summary>Its step is under way until the silo gives the run away.</summary>
internal sealed class Lingers(World world) : Workflow<int, int>
{
    protected override Task<int> RunAsync(int input) => Step("a", async step =>
    {
        await world.Mending.WaitAsync(step.Cancellation);
        return await world.EffectAsync(step, input);
    });
}

internal sealed class Sleeps : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        await Sleep(TimeSpan.FromMilliseconds(20));
        return await WaitUntil(() => false, TimeSpan.FromMilliseconds(5)) ? 0 : input;
    }
}

public interface IWaits : IWorkflow<int, string>
{
    [Signal]
    Task Go(string word);

    [Query]
    int Heard();
}

internal sealed class Waits(World world) : Workflow<int, string>, IWaits
{
    private readonly List<string> _words = [];

    public Task Go(string word)
    {
        _words.Add(word);
        return Task.CompletedTask;
    }

    public int Heard() => _words.Count;

    protected override async Task<string> RunAsync(int input)
    {
        await WaitUntil(() => _words.Count >= input, TimeSpan.FromHours(1));
        await Step("a", step => world.EffectAsync(step, 1));
        return string.Join(' ', _words);
    }
}

internal sealed class Fails(World world) : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        await Step("a", step => world.EffectAsync(step, 1));
        throw new InvalidOperationException("as it must");
    }
}

internal sealed class Broken(World world) : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        var value = await Step("a", step => world.EffectAsync(step, input));
        if (!world.IsMended)
        {
            await Task.Delay(Timeout.Infinite); // A short one may be over before it is awaited, and then is no mistake.
        }

        return value;
    }
}

internal sealed class Receives(World world) : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        var letter = await Receive<int>("letters");
        return await Step("a", step => world.EffectAsync(step, letter));
    }
}
