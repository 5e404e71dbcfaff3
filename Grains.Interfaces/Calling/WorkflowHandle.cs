using System.Diagnostics;
using System.Data;
using System.Data.Common;
using Actors.Wire;

namespace Actors.Calling;

internal sealed class WorkflowHandle<TContract>(
    WorkflowId id,
    IWorkflowRoute route,
    GrainRoute grains,
    PayloadSerializer payloads,
    TimeSpan patience,
    SignalCall? withStart = null,
    Guid? run = null)
    : IWorkflowHandle<TContract>
    where TContract : class, IWorkflow
{
    private static readonly Contract Contract = Contract.Of(typeof(TContract));

    // A transaction that is repeated with this handle starts the same run and sends the same signal.
    private string? _inTransaction;

    public WorkflowId Id { get; } = id;

    public IWorkflowHandle<TContract> WithSignal(Func<TContract, Task> call, string? messageId = null) => withStart is null
        ? new WorkflowHandle<TContract>(
            Id, route, grains, payloads, patience, Signal(call, messageId is null ? DrawnByStart : Checked(messageId)), run)
        : throw new InvalidOperationException($"A start of workflow '{Id}' delivers one signal: send further ones with SignalAsync.");

    public IWorkflowHandle<TContract> Run(Guid run) => new WorkflowHandle<TContract>(Id, route, grains, payloads, patience, withStart, run);

    public async Task<StartedRun> StartUntypedAsync<TInput>(TInput input, StartOptions options, CancellationToken cancellation)
    {
        if (!Enum.IsDefined(options.Policy))
        {
            throw new ArgumentOutOfRangeException(nameof(options), options.Policy, "StartOptions.Policy: no such policy.");
        }

        var id = options is { RequestId: null, Policy: StartPolicy.Attach } ? null : Checked(options.RequestId, "A request id");
        var payload = payloads.Write(input, $"Input of workflow '{Id}'");
        var call = new StartCall(Contract.Name, payload, options.Policy, SignalOf(id), id, options.Delay)
        {
            Contracts = Contract.FullNames,
        };
        var reply = await CallAsync<StartReply>(call, id ?? call.Signal?.MessageId, cancellation);
        return new StartedRun(reply.Run, reply.Started);
    }

    public async Task StartUntypedAsync<TInput>(TInput input, DbTransaction transaction, CancellationToken cancellation)
    {
        var payload = payloads.Write(input, $"Input of workflow '{Id}'");
        await using var command = Command(transaction, TransactionSql.StartWorkflow, payload);
        Add(command, "type", Contract.Name, DbType.String);
        Add(command, "contracts", Contract.FullNames.ToArray(), type: null);
        try
        {
            await command.ExecuteNonQueryAsync(cancellation);
            if (SignalOf(_inTransaction ??= Checked(null)) is { } signal)
            {
                await SendAsync(signal, transaction, cancellation);
            }
        }
        catch (DbException error) when (error.SqlState == "AC002")
        {
            throw new WorkflowTypeMismatchException($"Workflow '{Id}' exists and is not a {Contract.Name}: choose another id.");
        }
        catch (DbException error) when (error.SqlState == "AC005")
        {
            throw Contract.Mismatch();
        }
        catch (DbException error) when (error.SqlState == "AC006")
        {
            throw Contract.Unregistered();
        }
    }

    /// <summary>A call of one of the schema's functions about this workflow, within the caller's transaction.</summary>
    private DbCommand Command(DbTransaction transaction, string sql, Payload payload)
    {
        var command = CallersTransaction.ConnectionOf(transaction).CreateCommand();
        (command.Transaction, command.CommandText) = (transaction, sql);
        Add(command, "namespace", Id.Namespace, DbType.String);
        Add(command, "id", Id.Id, DbType.String);
        Add(command, "payload", payload.Encoded ? null : System.Text.Encoding.UTF8.GetString(payload.Data!), DbType.String);
        Add(command, "bytes", payload.Encoded ? payload.Data : null, DbType.Binary);
        return command;
    }

    private async Task SendAsync(SignalCall signal, DbTransaction transaction, CancellationToken cancellation)
    {
        await using var command = Command(transaction, TransactionSql.Send, signal.Payload);
        Add(command, "message", signal.MessageId, DbType.String);
        Add(command, "name", signal.Name, DbType.String);
        if (await command.ExecuteScalarAsync(cancellation) is not true)
        {
            throw new WorkflowEndedException($"Workflow '{Id}' has ended; the signal was not delivered.");
        }
    }

    public async Task SignalAsync(Func<TContract, Task> call, string? messageId, CancellationToken cancellation) =>
        await SendAsync(Signal(call, Checked(messageId)), cancellation);

    public async Task SendAsync<TMessage>(string topic, TMessage message, string? messageId, CancellationToken cancellation)
    {
        NameRule.Checked(topic, "A topic");
        var payload = payloads.Write(message, $"Message for topic '{topic}' of workflow '{Id}'");
        await SendAsync(new SignalCall(topic, IsTopic: true, payload, Checked(messageId)) { Run = run, Contracts = Contract.FullNames },
            cancellation);
    }

    public async Task<TValue> QueryAsync<TValue>(Func<TContract, TValue> query, CancellationToken cancellation)
    {
        var (method, arguments) = CallRecorder.Record<TContract, QueryAttribute, TValue>(query);
        FormattableString what = $"Query {method.Name} of workflow '{Id}'";
        var call = new QueryCall(
            method.Name, payloads.WriteArguments(method, arguments, what)) { Run = run, Contracts = Contract.FullNames };
        var reply = await CallAsync<ValueReply>(call, null, cancellation);
        return payloads.Read<TValue>(reply.Value, what);
    }

    public async Task<WorkflowView?> StatusAsync(CancellationToken cancellation)
    {
        var reply = await CallAsync<StatusReply>(new StatusCall { Run = run }, null, cancellation);
        return !reply.Found ? null : new WorkflowView(
            Id, reply.Run, reply.Type, (WorkflowStatus)reply.Status, reply.Position, reply.Epoch, reply.Owner, reply.CreatedAt,
            reply.EndedAt, reply.Problem)
        {
            Undelivered = reply.Undelivered, Waits = reply.Waits,
        };
    }

    public async Task<bool> ResumeAsync(string? requestId, CancellationToken cancellation)
    {
        var id = Checked(requestId, "A request id");
        var reply = await CallAsync<ValueReply>(new ResumeCall(id) { Run = run }, id, cancellation);
        return payloads.Read<bool>(reply.Value, $"Reply to resume");
    }

    public Task WakeAsync(CancellationToken cancellation) => grains.Of(Id).WakeAsync();

    public async Task<TResult> ResultUntypedAsync<TResult>(CancellationToken cancellation)
    {
        var call = new ResultCall(Contract.Name) { Run = run, Limit = patience, Contracts = Contract.FullNames };
        // The route only at first: an owner that has lost its run without knowing it would keep a caller of its own silo waiting.
        for (var way = route; ; way = grains)
        {
            cancellation.ThrowIfCancellationRequested();
            CallReply reply;
            try
            {
                reply = await way.CallAsync(Id, call).WaitAsync(cancellation);
            }
            catch (Exception error) when (Unreachable(error, cancellation))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellation);
                continue;
            }

            if (reply.Error is { Code: nameof(WorkflowUnavailableException) })
            {
                // Postgres is away, or that silo: who waits for an end waits on.
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellation);
                continue;
            }

            if (reply.Error is { } failure)
            {
                throw failure.ToException();
            }

            if (reply is ResultReply { Ended: true } end)
            {
                return end.Failure is { } recorded
                    ? throw new WorkflowFailedException(Id.ToString(), recorded.Type, recorded.Message, recorded.Stack)
                    : payloads.Read<TResult>(end.Result, $"Result of workflow '{Id}'");
            }
        }
    }

    private Task SendAsync(SignalCall call, CancellationToken cancellation) => CallAsync<CallReply>(call, call.MessageId, cancellation);

    /// <summary>The signal of one start. Without an id of its own it has the request's: one id repeats both, and each start of this handle
    /// has another.</summary>
    private SignalCall? SignalOf(string? requestId) => withStart is { MessageId: DrawnByStart }
        ? withStart with { MessageId = requestId ?? Checked(null) } : withStart;

    private SignalCall Signal(Func<TContract, Task> call, string messageId)
    {
        var (method, arguments) = CallRecorder.Record<TContract, SignalAttribute, Task>(call);
        var payload = payloads.WriteArguments(method, arguments, $"Signal {method.Name} of workflow '{Id}'");
        return new SignalCall(method.Name, IsTopic: false, payload, messageId) { Run = run, Contracts = Contract.FullNames };
    }

    private const string DrawnByStart = "";

    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(1);

    private static string Checked(string? id, string what = "A message id") =>
        id is null ? Guid.NewGuid().ToString("N") : NameRule.Checked(id, what);

    /// <summary>Calls, and calls again with the same ids while the cluster or its database is away, for as long as the patience.</summary>
    /// <param name="requestId">By which a caller repeats the call when this gives up; null for what needs none.</param>
    private async Task<TReply> CallAsync<TReply>(WorkflowCall call, string? requestId, CancellationToken cancellation)
        where TReply : CallReply
    {
        call = Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: { } trace } ? call with { Trace = trace } : call;
        var began = Stopwatch.GetTimestamp();
        for (var pause = RetryFirst; ; pause = pause < RetryMax ? pause * 2 : RetryMax)
        {
            WorkflowUnavailableException unavailable;
            try
            {
                var reply = await route.CallAsync(Id, call).WaitAsync(cancellation);
                if (reply.Error?.ToException() is not { } error)
                {
                    return (TReply)reply;
                }

                unavailable = error is WorkflowUnavailableException
                    ? new WorkflowUnavailableException(error.Message) { RequestId = requestId } : throw error;
            }
            catch (Exception error) when (Unreachable(error, cancellation))
            {
                unavailable = new WorkflowUnavailableException(
                    $"Workflow '{Id}' could not be reached ({error.GetType().Name}). "
                    + "What was asked may or may not be committed: repeat it with the same ids.", error)
                {
                    RequestId = requestId,
                };
            }

            if (Stopwatch.GetElapsedTime(began) + pause > patience)
            {
                throw unavailable;
            }

            await Task.Delay(pause, cancellation);
        }
    }

    // A silo whose cluster loses members answers with OperationCanceledException for messages that it could not place in time, or with a
    // TimeoutException around one of Polly's, for which Orleans has no codec: the caller is told that instead.
    private static bool Unreachable(Exception error, CancellationToken cancellation) =>
        error is TimeoutException or Orleans.Runtime.OrleansException or Orleans.Serialization.CodecNotFoundException
        || (error is OperationCanceledException && !cancellation.IsCancellationRequested);

    /// <param name="type">Null: as the value has it.</param>
    private static void Add(DbCommand command, string name, object? value, DbType? type)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.Value) = (name, value ?? DBNull.Value);
        if (type is { } given)
        {
            parameter.DbType = given;
        }

        command.Parameters.Add(parameter);
    }
}
