using System.Data;
using System.Data.Common;
using Actors.Wire;

namespace Actors.Calling;

internal sealed class WorkflowHandle<TContract>(
    WorkflowId id, IWorkflowRoute route, Mailboxes mailboxes, PayloadSerializer payloads, TimeSpan patience, SignalRequest? withStart = null)
    : IWorkflowHandle<TContract>
    where TContract : class, IWorkflow
{
    public WorkflowId Id { get; } = id;

    public IWorkflowHandle<TContract> WithSignal(Func<TContract, Task> call, string? messageId = null) =>
        new WorkflowHandle<TContract>(Id, route, mailboxes, payloads, patience, Signal(call, messageId));

    public async Task<StartedRun> StartAsync<TInput>(TInput input, StartPolicy policy, CancellationToken cancellation)
    {
        var request = new StartRequest(WorkflowNames.Of(typeof(TContract)), payloads.Write(input, $"Input of workflow '{Id}'"), policy, withStart);
        var reply = await AskAsync(() => route.StartAsync(Id, request), cancellation);
        return reply.Error is { } error ? throw error.ToException() : new StartedRun(reply.Run, reply.Started);
    }

    public async Task StartAsync<TInput>(TInput input, DbTransaction transaction, CancellationToken cancellation)
    {
        var payload = payloads.Write(input, $"Input of workflow '{Id}'");
        await using var command = Command(transaction, "select actors.start_workflow(@namespace, @id, @type, @payload::json, @bytes)", payload);
        Add(command, "type", WorkflowNames.Of(typeof(TContract)), DbType.String);
        try
        {
            await command.ExecuteNonQueryAsync(cancellation);
            if (withStart is not null)
            {
                await SendAsync(withStart, transaction, cancellation);
            }
        }
        catch (DbException error) when (error.SqlState == "AC002")
        {
            throw new WorkflowTypeMismatchException($"Workflow '{Id}' exists and is not a {WorkflowNames.Of(typeof(TContract))}: choose another id.");
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

    private async Task SendAsync(SignalRequest signal, DbTransaction transaction, CancellationToken cancellation)
    {
        await using var command = Command(transaction, "select actors.send(@namespace, @id, @message, @name, @payload::json, @bytes)", signal.Payload);
        Add(command, "message", signal.MessageId, DbType.String);
        Add(command, "name", signal.Name, DbType.String);
        if (await command.ExecuteScalarAsync(cancellation) is not true)
        {
            throw new WorkflowEndedException($"Workflow '{Id}' has ended; the signal was not delivered.");
        }
    }

    public async Task SignalAsync(Func<TContract, Task> call, string? messageId, CancellationToken cancellation) =>
        await SendAsync(Signal(call, messageId), cancellation);

    public async Task SendAsync<TMessage>(string topic, TMessage message, string? messageId, CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(topic);
        var payload = payloads.Write(message, $"Message for topic '{topic}' of workflow '{Id}'");
        await SendAsync(new SignalRequest(topic, IsTopic: true, payload, Checked(messageId)), cancellation);
    }

    public async Task<TValue> QueryAsync<TValue>(Func<TContract, TValue> query, CancellationToken cancellation)
    {
        var (method, arguments) = CallRecorder.Record<TContract, QueryAttribute, TValue>(query);
        FormattableString what = $"Query {method.Name} of workflow '{Id}'";
        var request = new QueryRequest(method.Name, payloads.WriteArguments(method, arguments, what));
        var reply = await AskAsync(() => route.QueryAsync(Id, request), cancellation);
        return reply.Error is { } error ? throw error.ToException() : payloads.Read<TValue>(reply.Value, what);
    }

    public async Task<WorkflowView?> StatusAsync(CancellationToken cancellation)
    {
        var reply = await AskAsync(() => mailboxes.Of(Id).StatusAsync(), cancellation);
        return reply.Error is { } error ? throw error.ToException()
            : !reply.Found ? null
            : new WorkflowView(
                Id, reply.Run, reply.Type, (WorkflowStatus)reply.Status, reply.Position, reply.Epoch, reply.Owner, reply.CreatedAt, reply.EndedAt, reply.Problem);
    }

    public async Task<bool> ResumeAsync(CancellationToken cancellation)
    {
        var reply = await AskAsync(() => mailboxes.Of(Id).ResumeAsync(), cancellation);
        return reply.Error is { } error ? throw error.ToException() : payloads.Read<bool>(reply.Value, $"Reply to resume");
    }

    public Task NudgeAsync(CancellationToken cancellation) => mailboxes.Of(Id).WakeAsync();

    public async Task<TResult> ResultAsync<TResult>(CancellationToken cancellation)
    {
        var type = WorkflowNames.Of(typeof(TContract));
        // The route only at first: an owner that has lost its run without knowing it would keep a caller of its own silo waiting.
        for (var way = route; ; way = mailboxes)
        {
            cancellation.ThrowIfCancellationRequested();
            ResultReply reply;
            try
            {
                reply = await way.ResultAsync(Id, patience, type).WaitAsync(cancellation);
            }
            catch (Exception error) when (Unreachable(error, cancellation))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), cancellation);
                continue;
            }

            if (reply.Error is { } failure)
            {
                throw failure.ToException();
            }

            if (reply.Ended)
            {
                return reply.Failure is { } recorded
                    ? throw new WorkflowFailedException(Id.ToString(), recorded.Type, recorded.Message, recorded.Stack)
                    : payloads.Read<TResult>(reply.Result, $"Result of workflow '{Id}'");
            }
        }
    }

    private async Task SendAsync(SignalRequest request, CancellationToken cancellation)
    {
        if (await AskAsync(() => route.SignalAsync(Id, request), cancellation) is { } error)
        {
            throw error.ToException();
        }
    }

    private SignalRequest Signal(Func<TContract, Task> call, string? messageId)
    {
        var (method, arguments) = CallRecorder.Record<TContract, SignalAttribute, Task>(call);
        var payload = payloads.WriteArguments(method, arguments, $"Signal {method.Name} of workflow '{Id}'");
        return new SignalRequest(method.Name, IsTopic: false, payload, Checked(messageId));
    }

    private static string Checked(string? messageId) => messageId switch
    {
        null => Guid.NewGuid().ToString("N"),
        { Length: >= 1 and <= 200 } when !messageId.Any(char.IsControl) => messageId,
        _ => throw new ArgumentException("A message id is 1 to 200 characters without control characters.", nameof(messageId)),
    };

    private async Task<T> AskAsync<T>(Func<Task<T>> ask, CancellationToken cancellation)
    {
        try
        {
            return await ask().WaitAsync(cancellation);
        }
        catch (Exception error) when (Unreachable(error, cancellation))
        {
            throw new WorkflowUnavailableException(
                $"Workflow '{Id}' could not be reached ({error.GetType().Name}). What was asked may or may not be committed: repeat it with the same ids.", error);
        }
    }

    // A silo whose cluster loses members answers with OperationCanceledException for messages that it could not place in time, or with a
    // TimeoutException around one of Polly's, for which Orleans has no codec: the caller is told that instead.
    private static bool Unreachable(Exception error, CancellationToken cancellation) =>
        error is TimeoutException or Orleans.Runtime.OrleansException or Orleans.Serialization.CodecNotFoundException
        || (error is OperationCanceledException && !cancellation.IsCancellationRequested);

    private static void Add(DbCommand command, string name, object? value, DbType type)
    {
        var parameter = command.CreateParameter();
        (parameter.ParameterName, parameter.Value, parameter.DbType) = (name, value ?? DBNull.Value, type);
        command.Parameters.Add(parameter);
    }
}
