using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Actors.Benchmarks;

public interface IListener : IWorkflow<int, int>
{
    [Signal]
    Task Ring();

    [Query]
    int Heard();
}

/// <summary>As many steps as its input says, then messages until it is told to stop.</summary>
public sealed class Listener : Workflow<int, int>, IListener
{
    private int _observed;

    public int Heard() => _observed;

    public Task Ring()
    {
        _observed++;
        return Task.CompletedTask;
    }

    protected override async Task<int> RunAsync(int input)
    {
        for (var i = 0; i < input; i++)
        {
            await Step("step", _ => Task.FromResult(i));
        }

        while (await Receive<bool>("go on"))
        {
            _observed++;
        }

        return _observed;
    }
}

public interface ITransfers : IWorkflow<int, int>;

/// <summary>Ten transactions, each with the two statements that the plain one has.</summary>
public sealed class Transfers : Workflow<int, int>, ITransfers
{
    public const int Transactions = 10;

    protected override async Task<int> RunAsync(int input)
    {
        for (var i = 0; i < Transactions; i++)
        {
            await Transaction("transfer", tx => MoveAsync((NpgsqlConnection)tx.Connection, tx.Cancellation));
        }

        return input;
    }

    public static async Task<int> MoveAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlBatch(connection);
        foreach (var (sql, account) in new[]
        {
            ("update pgb.accounts set cents = cents - 1 where id = $1", Random.Shared.Next(100_000)),
            ("insert into pgb.transfers (account, cents) values ($1, 1)", Random.Shared.Next(100_000)),
        })
        {
            var command = new NpgsqlBatchCommand(sql);
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = account });
            batch.BatchCommands.Add(command);
        }

        return await batch.ExecuteNonQueryAsync(cancellation);
    }
}

/// <summary>What single calls cost beside a commit, transactions beside plain Npgsql, timers' lateness, and replay.</summary>
internal static class Features
{
    public static async Task<string> MeasureAsync(SiloUnderTest silo, string pgbench, string connectionString)
    {
        var text = new Lines($"Single calls, transactions, timers and replay");
        await using var source = NpgsqlDataSource.Create(connectionString + ";Max Auto Prepare=10;Maximum Pool Size=40");
        await using (var make = source.CreateCommand("create table pgb.accounts as select id, 0 as cents from generate_series(0, 99999) id; alter table pgb.accounts add primary key (id); create table pgb.transfers (account int, cents int)"))
        {
            await make.ExecuteNonQueryAsync();
        }

        await CallsAsync(text, silo, pgbench, connectionString);
        foreach (var clients in new[] { 1, 16 })
        {
            for (var round = 0; round < 2; round++)
            {
                var plain = await PlainTransactionsAsync(source, clients, TimeSpan.FromSeconds(6));
                var ours = Transfers.Transactions * await silo.WorkflowsPerSecondAsync<ITransfers>(clients, TimeSpan.FromSeconds(6));
                text.Add($"transactions, {clients} at a time: {ours:N0}/s as steps of workflows, {plain:N0}/s by plain Npgsql: {ours / plain:0.00}");
            }
        }

        await TimersAsync(text, silo, 200);
        await TimersAsync(text, silo, 200);
        await TimersAsync(text, silo, 10_000);
        await ReplayAsync(text, silo, 1000);
        return text.ToString();
    }

    /// <summary>Rounds of pgbench and of calls by turns, after one that warms both.</summary>
    private static async Task CallsAsync(Lines text, SiloUnderTest silo, string pgbench, string connectionString)
    {
        const int Rounds = 5;
        var listener = silo.Workflows.Get<IListener>("listener");
        await listener.StartAsync(0);
        var (commits, steps, starts, told, signals) = (new double[Rounds], new double[Rounds], new double[Rounds], new double[Rounds], new double[Rounds]);
        for (var round = -1; round < Rounds; round++)
        {
            var commit = (await Pgbench.RunAsync(pgbench, connectionString, "commit.sql", 1, TimeSpan.FromSeconds(2))).P50Ms;
            var start = await MedianAsync(1500, i => silo.Workflows.Get<IListener>($"start-{round}-{i}").StartAsync(0));
            var tell = await MedianAsync(1500, i => silo.Workflows.Get<IListener>($"told-{round}-{i}").WithSignal(w => w.Ring()).StartAsync(0, StartPolicy.Reject));
            var step = (await Pgbench.RunAsync(pgbench, connectionString, "step.sql", 1, TimeSpan.FromSeconds(2))).P50Ms;
            var signal = await MedianAsync(1500, _ => listener.SendAsync("go on", true));
            if (round >= 0)
            {
                (commits[round], steps[round], starts[round], told[round], signals[round]) = (commit, step, start, tell, signal);
            }
        }

        text.Add($"pgbench, one client, {Rounds} rounds: an update of one small row {Range(commits)} ms, a step in one transaction {Range(steps)} ms (medians)");
        Beside("a start", starts);
        Beside("a start with a signal, remembered by its request", told);
        Beside("a message to a workflow in memory", signals);

        void Beside(string what, double[] taken) =>
            text.Add($"{what} {Range(taken)} ms: {Range(taken.Zip(steps, Ratio))} steps, {Range(taken.Zip(commits, Ratio))} updates");

        static double Ratio(double taken, double beside) => taken / beside;
    }

    private static string Range(IEnumerable<double> figures)
    {
        var sorted = figures.Order().ToArray();
        return string.Create(CultureInfo.InvariantCulture, $"{sorted[sorted.Length / 2]:0.00} ({sorted[0]:0.00} to {sorted[^1]:0.00})");
    }

    private static async Task<double> PlainTransactionsAsync(NpgsqlDataSource source, int clients, TimeSpan duration)
    {
        var (watch, done) = (Stopwatch.StartNew(), 0);
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            while (watch.Elapsed < duration)
            {
                await using var connection = await source.OpenConnectionAsync();
                await using var transaction = await connection.BeginTransactionAsync();
                await Transfers.MoveAsync(connection, CancellationToken.None);
                await transaction.CommitAsync();
                Interlocked.Increment(ref done);
            }
        }));
        return done / watch.Elapsed.TotalSeconds;
    }

    private static async Task TimersAsync(Lines text, SiloUnderTest silo, int count)
    {
        var due = DateTimeOffset.UtcNow + TimeSpan.FromSeconds(4 + (count / 2000));
        var late = await Task.WhenAll(Enumerable.Range(0, count).Select(async i =>
        {
            var sleeper = silo.Workflows.Get<ISleeper>($"timer-{count}-{due.Ticks}-{i}");
            await sleeper.StartAsync(due.AddTicks(TimeSpan.TicksPerSecond * i / count)); // Spread over a second.
            return await sleeper.ResultAsync();
        }));
        Array.Sort(late);
        text.Add($"{count:N0} timers due within one second: late p50 {late[count / 2]:0.0} ms, p99 {late[count * 99 / 100]:0.0} ms, at least {late[0]:0.0} ms");
    }

    private static async Task ReplayAsync(Lines text, SiloUnderTest silo, int steps)
    {
        var ticks = new List<double>();
        for (var i = 0; i < 9; i++)
        {
            var workflow = silo.Workflows.Get<IListener>($"history-{i}");
            await workflow.StartAsync(steps);
        }

        await silo.UntilAsync($"select count(*) = 9 from actors.runs where id like 'history-%' and position >= {steps} and owner is null");
        for (var i = 0; i < 9; i++)
        {
            var watch = Stopwatch.StartNew();
            await silo.Workflows.Get<IListener>($"history-{i}").QueryAsync(w => w.Heard());
            ticks.Add(watch.Elapsed.TotalMilliseconds);
        }

        ticks.Sort();
        text.Add($"a query of a workflow at rest, with a journal of {steps:N0} steps: claimed, loaded and replayed in {ticks[4]:0.0} ms (median of 9; best {ticks[0]:0.0}, worst {ticks[8]:0.0})");
    }

    private static async Task<double> MedianAsync(int rounds, Func<int, Task> call)
    {
        var ticks = new double[rounds];
        for (var i = 0; i < rounds; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await call(i);
            ticks[i] = Stopwatch.GetElapsedTime(began).TotalMilliseconds;
        }

        return Comparison.Median(ticks, milliseconds => milliseconds);
    }
}
