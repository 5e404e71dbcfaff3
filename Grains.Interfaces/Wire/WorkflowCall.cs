namespace Actors.Wire;

/// <summary>
/// What a caller asks of a workflow: one envelope for every call, whichever way it goes. A new call is a record here, a case in
/// <c>WorkflowCalls</c> and a method of the handle.
/// </summary>
[GenerateSerializer, Immutable, Alias("actors.WorkflowCall")]
internal abstract record WorkflowCall
{
    /// <summary>The run that is meant; null: the workflow's latest. Another one answers that it is not there.</summary>
    [Id(0)]
    public Guid? Run { get; init; }

    /// <summary>After which nobody waits for the reply; null: as long as the connection lets one.</summary>
    [Id(1)]
    public TimeSpan? Limit { get; init; }

    /// <summary>Full names of the caller's contract; null from callers that do not tell.</summary>
    [Id(2)]
    public IReadOnlyList<string>? Contracts { get; init; }

    /// <summary>The caller's trace context, a W3C traceparent; null where nobody traces.</summary>
    [Id(3)]
    public string? Trace { get; init; }
}

/// <summary>The reply to a call; of a call that was refused this one.</summary>
/// <param name="Error">What the caller can act on; null when the call was done.</param>
[GenerateSerializer, Immutable, Alias("actors.CallReply")]
internal record CallReply([property: Id(0)] WireError? Error);

/// <summary>What went wrong, as a name and a message: understood by silos and clients of other versions.</summary>
/// <param name="Type">Of an error of user code: the full name of its type.</param>
[GenerateSerializer, Immutable, Alias("actors.WireError")]
internal sealed record WireError([property: Id(0)] string Code, [property: Id(1)] string Message, [property: Id(2)] string? Type = null);

/// <param name="RequestId">By which the caller repeats the start; null where the workflow's id is enough.</param>
[GenerateSerializer, Immutable, Alias("actors.StartCall")]
internal sealed record StartCall(
    [property: Id(0)] string Type,
    [property: Id(1)] Payload Input,
    [property: Id(2)] StartPolicy Policy,
    [property: Id(3)] SignalCall? Signal,
    [property: Id(4)] string? RequestId = null,
    [property: Id(5)] TimeSpan? Delay = null) : WorkflowCall;

[GenerateSerializer, Immutable, Alias("actors.StartReply")]
internal sealed record StartReply(WireError? Error, [property: Id(0)] Guid Run, [property: Id(1)] bool Started) : CallReply(Error);

/// <param name="Name">Signal method, or topic.</param>
/// <param name="Payload">Of a method: the JSON array of its arguments. Of a topic: the message.</param>
[GenerateSerializer, Immutable, Alias("actors.SignalCall")]
internal sealed record SignalCall(
    [property: Id(0)] string Name,
    [property: Id(1)] bool IsTopic,
    [property: Id(2)] Payload Payload,
    [property: Id(3)] string MessageId) : WorkflowCall;

/// <summary>Answered with a <see cref="ValueReply"/>.</summary>
[GenerateSerializer, Immutable, Alias("actors.QueryCall")]
internal sealed record QueryCall([property: Id(0)] string Name, [property: Id(1)] Payload Arguments) : WorkflowCall;

[GenerateSerializer, Immutable, Alias("actors.ValueReply")]
internal sealed record ValueReply(WireError? Error, [property: Id(0)] Payload Value) : CallReply(Error);

/// <summary>Answered when the run has ended; with <c>Ended = false</c> after the limit, or at once when the workflow moves.</summary>
/// <param name="Type">The stored name of the caller's contract; null from callers that do not tell.</param>
[GenerateSerializer, Immutable, Alias("actors.ResultCall")]
internal sealed record ResultCall([property: Id(0)] string? Type = null) : WorkflowCall;

/// <param name="Ended">False: nothing to tell yet, ask again.</param>
/// <param name="Failure">The recorded error of a failed run.</param>
[GenerateSerializer, Immutable, Alias("actors.ResultReply")]
internal sealed record ResultReply(
    WireError? Error,
    [property: Id(0)] bool Ended,
    [property: Id(1)] Payload Result,
    [property: Id(2)] RecordedError? Failure) : CallReply(Error);

[GenerateSerializer, Immutable, Alias("actors.RecordedError")]
internal sealed record RecordedError([property: Id(0)] string Type, [property: Id(1)] string Message, [property: Id(2)] string? Stack);

[GenerateSerializer, Immutable, Alias("actors.StatusCall")]
internal sealed record StatusCall : WorkflowCall;

[GenerateSerializer, Immutable, Alias("actors.StatusReply")]
internal sealed record StatusReply(
    WireError? Error,
    [property: Id(0)] bool Found,
    [property: Id(1)] Guid Run,
    [property: Id(2)] string Type,
    [property: Id(3)] int Status,
    [property: Id(4)] int Position,
    [property: Id(5)] int Epoch,
    [property: Id(6)] Guid? Owner,
    [property: Id(7)] DateTimeOffset CreatedAt,
    [property: Id(8)] DateTimeOffset? EndedAt,
    [property: Id(9)] string? Problem,
    [property: Id(10)] UndeliveredMessage[] Undelivered,
    [property: Id(11)] WorkflowWait? Waits) : CallReply(Error);

/// <summary>Opens a workflow that was set aside; answered with a <see cref="ValueReply"/>: whether it was.</summary>
[GenerateSerializer, Immutable, Alias("actors.ResumeCall")]
internal sealed record ResumeCall([property: Id(0)] string RequestId) : WorkflowCall;
