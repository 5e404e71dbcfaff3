using System.Runtime.CompilerServices;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Grains.Tests.Execution;

/// <summary>What a <see cref="Scripted"/> workflow does, as a test writes it. Each engine has its own: another script is changed
/// code.</summary>
internal sealed class Script(Func<Scripted, Task<string>> run)
{
    public Func<Scripted, Task<string>> Run { get; } = run;

    /// <summary>Default: the signals' texts are kept in the order of their handling.</summary>
    public Func<Scripted, string, Task> OnPoke { get; init; } = (workflow, text) =>
    {
        workflow.Heard.Add(text);
        return Task.CompletedTask;
    };

    public Func<Scripted, string> OnLook { get; init; } = workflow => string.Join(",", workflow.Heard);
}

internal interface IScripted : IWorkflow<string, string>
{
    [Signal]
    Task Poke(string text);

    [Query]
    string Look();
}

/// <summary>A workflow whose code a test writes where it uses it: the protected commands are public here.</summary>
internal sealed class Scripted(Script script) : Workflow<string, string>, IScripted
{
    public const string Name = "Scripted";

    /// <summary>State, as fields of an ordinary workflow are.</summary>
    public List<string> Heard { get; } = [];

    public string Input { get; private set; } = "";

    public new WorkflowId Id => base.Id;

    public new Guid Run => base.Run;

    public new DateTimeOffset Now => base.Now;

    public new Random Random => base.Random;

    public new ILogger Logger => base.Logger;

    public new Guid NewGuid() => base.NewGuid();

    public new Task<T> Step<T>(
        string name, Func<StepContext, Task<T>> body, Retry? retry = null, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        base.Step(name, body, retry, file, line);

    public Task<T> Step<T>(
        string name, Func<T> body, Retry? retry = null, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.Step(name, _ => Task.FromResult(body()), retry, file, line);

    public new Task Step(
        string name, Func<StepContext, Task> body, Retry? retry = null, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        base.Step(name, body, retry, file, line);

    public new Task<T> Transaction<T>(
        string name,
        Func<TransactionContext, Task<T>> body,
        TransactionOptions? options = null,
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) => base.Transaction(name, body, options, file, line);

    public new Task Transaction(
        string name,
        Func<TransactionContext, Task> body,
        TransactionOptions? options = null,
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) => base.Transaction(name, body, options, file, line);

    public new void Publish<T>(string topic, string key, T message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.Publish(topic, key, message, file, line);

    public new Task Sleep(TimeSpan duration, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.Sleep(duration, file, line);

    public new Task SleepUntil(DateTimeOffset due, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.SleepUntil(due, file, line);

    public new Task WaitUntil(
        Func<bool> condition, [CallerArgumentExpression(nameof(condition))] string name = "", [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        base.WaitUntil(condition, name, file, line);

    public new Task<bool> WaitUntil(
        Func<bool> condition, TimeSpan timeout, [CallerArgumentExpression(nameof(condition))] string name = "",
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.WaitUntil(condition, timeout, name, file, line);

    public new Task<T> Receive<T>(string topic, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        base.Receive<T>(topic, file, line);

    public Task Poke(string text) => script.OnPoke(this, text);

    public string Look() => script.OnLook(this);

    protected override Task<string> RunAsync(string input)
    {
        Input = input;
        return script.Run(this);
    }
}

/// <summary>Engines that run a script, and what they left in the database.</summary>
internal static class ScriptedEngine
{
    public static Task<TestEngine> ScriptAsync(
        this TestDatabase database, Func<Scripted, Task<string>> run, Action<ActorsBuilder>? configure = null,
        Action<ILoggingBuilder>? logging = null) =>
        database.ScriptAsync(new Script(run), configure, logging);

    public static Task<TestEngine> ScriptAsync(
        this TestDatabase database, Script script, Action<ActorsBuilder>? configure = null, Action<ILoggingBuilder>? logging = null,
        string connection = "") =>
        TestEngine.StartAsync(
            $"{database.ConnectionString};{connection}",
            builder =>
            {
                builder.Services.AddSingleton(script);
                builder.AddWorkflow<Scripted>();
                builder.Outbox.Add("here", new HandlerSink((_, _) => Task.CompletedTask), "topic");
                configure?.Invoke(builder);
            },
            logging);

    public static Task<StartReply> StartAsync(
        this TestEngine engine, string id, string input = "", StartPolicy policy = StartPolicy.Attach) =>
        engine.StartWorkflowAsync(id, Scripted.Name, input, policy);

    public static async Task<string> RunAsync(this TestEngine engine, string id, string input = "")
    {
        await engine.StartAsync(id, input);
        return await engine.ResultAsync<string>(id);
    }

    public static Task PokeAsync(this TestEngine engine, string id, string text, string? messageId = null) =>
        engine.SignalAsync(id, "Poke", [text], messageId);

    public static Task<string> AskAsync(this TestEngine engine, string id) => engine.QueryAsync<string>(id, "Look");

    /// <summary>Brings the run into memory, as a sweep does.</summary>
    public static Task WakeAsync(this TestEngine engine, string id) => engine.Engine.WakeAsync(new WorkflowId(id));

    /// <summary>The ids that a far sweep finds, in all partitions but one.</summary>
    public static async Task<List<string>> SweepAsync(this TestEngine engine, short? without = null) =>
        [.. (await new WorkFinder(engine.Engine.Context.Database, engine.Engine.Context.Codes).FindAsync(
            TimeSpan.FromHours(1), [.. Partition.All.Where(partition => partition != without)], TimeSpan.FromSeconds(5), 1000, far: true))
            .Runs.Select(id => id.Id).Order(StringComparer.Ordinal)];

    /// <summary>As with the next commit or sweep: the engine learns what time it is in the database.</summary>
    public static Task HearClockAsync(this TestEngine engine) => engine.Engine.StartAsync();

    /// <summary>Waits until the run is in no memory of this engine.</summary>
    public static Task LeftAsync(this TestEngine engine, string id) =>
        (engine.Engine.Resident(new WorkflowId(id))?.Left ?? Task.CompletedTask).WaitAsync(TimeSpan.FromSeconds(20));

    /// <summary>Lets the run rest; it must be one that only waits.</summary>
    public static async Task RestAsync(this TestEngine engine, string id)
    {
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        while (engine.Engine.Resident(new WorkflowId(id)) is { } resident && !resident.Left.IsCompleted)
        {
            resident.RestIfIdle(TimeSpan.Zero);
            await Task.Yield();
            if (System.Diagnostics.Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(20))
            {
                throw new TimeoutException($"Workflow '{id}' does not rest: it has work, a waiter, or a timer that is due soon.");
            }
        }
    }

    /// <summary>The run as the database holds it once the engine has set it aside.</summary>
    public static async Task<string> SetAsideAsync(this TestEngine engine, string id)
    {
        var error = await Xunit.Assert.ThrowsAsync<WorkflowSetAsideException>(
            () => engine.ResultAsync<string>(id, TimeSpan.FromSeconds(20)));
        var status = await engine.StatusAsync(id);
        Xunit.Assert.Equal((int)WorkflowStatus.SetAside, status.Status);
        Xunit.Assert.Null(status.Owner);
        return status.Problem ?? error.Message;
    }

    public static async Task<T> ScalarAsync<T>(this TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (T)Convert.ChangeType((await command.ExecuteScalarAsync())!, typeof(T), System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Returns when the server has ended this backend.</summary>
    public static async Task UntilEndedAsync(this TestDatabase database, int backend)
    {
        while (await database.ScalarAsync<bool>($"select exists (select from pg_stat_activity where pid = {backend})"))
        {
            await Task.Delay(10);
        }
    }

    public static async Task ExecuteAsync(this TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The journal of the id's latest run, in order: "position kind seq name payload".</summary>
    public static async Task<List<string>> JournalAsync(this TestDatabase database, string id)
    {
        await using var command = database.DataSource.CreateCommand(
            "select j.position, j.kind, j.seq, j.name, coalesce(j.payload::text, '-') from actors.journal j "
            + $"join actors.runs w using (instance) where w.id = '{id}' and w.latest order by j.position");
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            rows.Add($"{reader.GetInt32(0)} {(Actors.Storage.JournalKind)reader.GetInt16(1)} {reader.GetInt32(2)} {reader.GetString(3)} "
                + $"{reader.GetString(4)}");
        }

        return rows;
    }

    /// <summary>How many rows of the run's table of this name there are: timers, inbox, outbox.</summary>
    public static Task<int> CountAsync(this TestDatabase database, string table, string id)
    {
        var key = table == "inbox" ? "workflow" : "instance";
        return database.ScalarAsync<int>($"select count(*) from actors.{table} t join actors.runs w using ({key}) where w.id = '{id}'");
    }
}

/// <summary>A point that code reaches and a test lets it pass.</summary>
internal sealed class Gate
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task Reached => _reached.Task.WaitAsync(TimeSpan.FromSeconds(20));

    public void Open() => _open.TrySetResult();

    public Task PassAsync()
    {
        _reached.TrySetResult();
        return _open.Task;
    }

    public async Task<T> PassAsync<T>(T value)
    {
        await PassAsync();
        return value;
    }
}
