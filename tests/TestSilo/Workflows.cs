using Npgsql;

namespace Actors.TestSilo;

public interface ITransfers : IWorkflow<int, int>
{
    [Signal]
    Task Hurry();

    [Query]
    int Done();
}

/// <summary>Moves money between two accounts in a number of transactions, with a step and a short sleep after each.</summary>
public sealed class Transfers : Workflow<int, int>, ITransfers
{
    private int _done;
    private bool _hurry;

    public Task Hurry()
    {
        _hurry = true;
        return Task.CompletedTask;
    }

    public int Done() => _done;

    protected override async Task<int> RunAsync(int input)
    {
        var (from, to) = (Random.Next(10), Random.Next(10));
        for (_done = 0; _done < input; _done++)
        {
            await Transaction("transfer", async tx =>
            {
                // In one order for all, else they deadlock.
                foreach (var (account, amount) in new[] { (from, -1), (to, 1) }.Order())
                {
                    await ExecuteAsync(tx, "update accounts set balance = balance + $2 where id = $1", account, amount);
                }

                await ExecuteAsync(tx, "insert into transfers (workflow, number) values ($1, $2)", Id.Id, _done);
            });
            await Step("note", _ => Task.FromResult(_done));
            if (!_hurry)
            {
                await Sleep(TimeSpan.FromMilliseconds(50));
            }
        }

        return _done;
    }

    private static async Task ExecuteAsync(TransactionContext tx, string sql, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, tx.Connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        await command.ExecuteNonQueryAsync(tx.Cancellation);
    }
}

public interface IHeld : IWorkflow<int, int>;

/// <summary>A transaction that writes a row and then waits for a lock which the test holds.</summary>
public sealed class Held : Workflow<int, int>, IHeld
{
    protected override async Task<int> RunAsync(int input)
    {
        return await Transaction("held", async tx =>
        {
            await using var insert = new NpgsqlCommand("insert into held (workflow, pid) values ($1, pg_backend_pid())", tx.Connection);
            insert.Parameters.Add(new NpgsqlParameter { Value = Id.Id });
            await insert.ExecuteNonQueryAsync(tx.Cancellation);
            await using var wait = new NpgsqlCommand("select pg_advisory_xact_lock_shared($1)", tx.Connection) { CommandTimeout = 0 };
            wait.Parameters.Add(new NpgsqlParameter { Value = (long)input });
            await wait.ExecuteNonQueryAsync(tx.Cancellation);
            return input;
        });
    }
}

public interface IWaiting : IWorkflow<int, int>
{
    [Signal]
    Task Go(int value);

    [Query]
    string Where();
}

/// <summary>Waits for a signal, with a step before that tells where it ran.</summary>
public sealed class Waiting : Workflow<int, int>, IWaiting
{
    private int? _value;

    public Task Go(int value)
    {
        _value = value;
        return Task.CompletedTask;
    }

    public string Where() => Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);

    protected override async Task<int> RunAsync(int input)
    {
        await Step("begin", _ => Task.FromResult(0));
        await WaitUntil(() => _value is not null);
        return input + _value!.Value;
    }
}

public interface INap : IWorkflow<TimeSpan, double>;

/// <summary>Sleeps, and tells how late it woke, in milliseconds by the database's clock.</summary>
public sealed class Nap : Workflow<TimeSpan, double>, INap
{
    protected override async Task<double> RunAsync(TimeSpan input)
    {
        var due = Now + input;
        await SleepUntil(due);
        return (Now - due).TotalMilliseconds;
    }
}

/// <summary>Takes so many MiB and returns what it got; a negative number: in one piece.</summary>
public interface IHoard : IWorkflow<int, int>;

/// <summary>A step that wants more memory than there may be, and is not told by an error.</summary>
public sealed class Hoard : Workflow<int, int>, IHoard
{
    protected override async Task<int> RunAsync(int input) =>
        await Step("take", _ => Task.FromResult(input < 0 ? Take(1, -input) : Take(input, 1)));

    private static int Take(int pieces, int sizeMiB)
    {
        var taken = new List<byte[]>(pieces);
        for (var tries = 0; taken.Count < pieces && tries < 10 * pieces; tries++)
        {
            try
            {
                taken.Add(GC.AllocateUninitializedArray<byte>(sizeMiB << 20));
            }
            catch (OutOfMemoryException)
            {
                // It tries again.
            }
        }

        return taken.Count;
    }
}

/// <summary>Makes a history of so many pieces of 100 KB, waits for a step, and ends.</summary>
public interface IBulky : IWorkflow<int, int>;

/// <summary>Large when it is replayed, small when it runs.</summary>
public sealed class Bulky : Workflow<int, int>, IBulky
{
    protected override async Task<int> RunAsync(int input)
    {
        var total = 0;
        for (var i = 0; i < input; i++)
        {
            total += (await Step(
                "piece", _ => Task.FromResult(
                Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(50_000))))).Length;
        }

        await Step("waits", step => Task.Delay(TimeSpan.FromSeconds(3), step.Cancellation));
        return total;
    }
}

public interface ICounterGrain : IGrainWithStringKey
{
    Task<int> AddAsync(int amount);
}

/// <summary>An ordinary grain of a user, on the default storage.</summary>
public sealed class CounterGrain([PersistentState("counter")] IPersistentState<CounterState> state) : Grain, ICounterGrain
{
    public async Task<int> AddAsync(int amount)
    {
        state.State.Value += amount;
        await state.WriteStateAsync();
        return state.State.Value;
    }
}

[GenerateSerializer]
public sealed class CounterState
{
    [Id(0)]
    public int Value { get; set; }
}
