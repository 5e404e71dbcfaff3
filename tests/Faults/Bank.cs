using Npgsql;

namespace Actors.Faults;

public sealed record BankJob(int Rounds, int Signals);

public interface IBank : IWorkflow<BankJob, long>
{
    [Signal]
    Task Add(long amount);

    [Signal]
    Task Note(string text);

    [Query]
    string State();
}

/// <summary>
/// Moves money between accounts in transactions that publish, calls the outside world, sleeps, and adds up signals: everything that a check
/// can hold it to. Some attempts of a transaction publish and then throw; what they published is written down in the outside world.
/// </summary>
public sealed class Bank(World world) : Workflow<BankJob, long>, IBank
{
    public const int Accounts = 1000;

    // Accounts that many move from at the same time: their messages wait in line.
    private const int Busy = 4;
    private static readonly TransactionOptions Again = new() { Retry = Retry.Exponential(
        1000, TimeSpan.FromMilliseconds(10), 1.5, TimeSpan.FromSeconds(1)) };
    private static readonly Retry Outside = Retry.Exponential(1_000, TimeSpan.FromMilliseconds(50), 1.5, TimeSpan.FromSeconds(1));

    private readonly List<(int Round, long Amount)> _added = [];
    private int _round;

    public Task Add(long amount)
    {
        _added.Add((_round, amount));
        return Task.CompletedTask;
    }

    /// <summary>For texts that are too long to come here.</summary>
    public Task Note(string text) => Task.CompletedTask;

    /// <summary>What came when, so that another order of the same events gives another state.</summary>
    public string State() => $"{_round}: {string.Join(", ", _added.Select(added => $"{added.Amount} in {added.Round}"))}";

    protected override async Task<long> RunAsync(BankJob input)
    {
        for (_round = 0; _round < input.Rounds; _round++)
        {
            var (number, from, to, amount) = (
                _round, Random.Next(Random.Next(4) == 0 ? Busy : Accounts), Random.Next(Accounts), Random.Next(1, 100));
            await Transaction("move", tx => MoveAsync(tx, number, from, to, amount), Again);
            await Step("call", step => world.TellAsync($"effect {Id.Id} {number} {step.IdempotencyKey}", step.Cancellation), Outside);
            var due = Now + TimeSpan.FromMilliseconds(Random.Next(10) == 0 ? 4000 : Random.Next(10, 300));
            await SleepUntil(due);
            // Which name it is hangs on the order of what came from outside.
            var name = _added.Count % 2 == 0 ? "woke" : "woke to odd mail";
            await Transaction(name, tx =>
                ExecuteAsync(tx, "insert into wakes (workflow, number, due, woke) values ($1, $2, $3, clock_timestamp())", Id.Id, number,
                due.UtcDateTime), Again);
        }

        await WaitUntil(() => _added.Count >= input.Signals);
        var state = State();
        await Transaction("state", tx => ExecuteAsync(tx, "insert into states (workflow, state) values ($1, $2)", Id.Id, state), Again);
        return _added.Sum(added => added.Amount);
    }

    private async Task MoveAsync(TransactionContext tx, int number, int from, int to, int amount)
    {
        var versions = new Dictionary<int, long>();
        // In one order for all, else they deadlock.
        foreach (var (account, change) in new[] { (from, -amount), (to, amount) }.Order())
        {
            await using var update = Command(
                tx, "update accounts set balance = balance + $2, version = version + 1 where id = $1 returning version", account, change);
            versions[account] = (long)(await update.ExecuteScalarAsync(tx.Cancellation))!;
        }

        await ExecuteAsync(tx, "insert into moves (workflow, number) values ($1, $2)", Id.Id, number);
        var nonce = Guid.NewGuid();
        tx.Publish("moved", $"{from}", new Moved(from, versions[from], nonce));
        if (tx.Attempt == 1 && Random.Shared.Next(10) == 0)
        {
            await world.TellAsync($"aborted {nonce:N}", tx.Cancellation);
            throw new InvalidOperationException("As it must.");
        }
    }

    private static async Task ExecuteAsync(TransactionContext tx, string sql, params object[] values)
    {
        await using var command = Command(tx, sql, values);
        await command.ExecuteNonQueryAsync(tx.Cancellation);
    }

    private static NpgsqlCommand Command(TransactionContext tx, string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, tx.Connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return command;
    }
}

public sealed record Moved(int Account, long Version, Guid Nonce);

/// <summary>The way to the effect sink.</summary>
public sealed class World(int port)
{
    public Task TellAsync(string line, CancellationToken cancellation) => EffectSink.TellAsync(port, line, cancellation);
}
