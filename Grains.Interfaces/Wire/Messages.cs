namespace Actors.Wire;

/// <summary>What went wrong, as a name and a message: understood by silos and clients of other versions.</summary>
/// <param name="Type">Of an error of user code: the full name of its type.</param>
[GenerateSerializer, Immutable, Alias("actors.WireError")]
internal sealed record WireError([property: Id(0)] string Code, [property: Id(1)] string Message, [property: Id(2)] string? Type = null);

/// <param name="RequestId">By which the caller repeats the start; null where the workflow's id is enough.</param>
/// <param name="Contracts">Full names of the caller's contract; null from callers that do not tell.</param>
[GenerateSerializer, Immutable, Alias("actors.StartRequest")]
internal sealed record StartRequest(
    [property: Id(0)] string Type,
    [property: Id(1)] Payload Input,
    [property: Id(2)] StartPolicy Policy,
    [property: Id(3)] SignalRequest? Signal,
    [property: Id(4)] string? RequestId = null,
    [property: Id(5)] IReadOnlyList<string>? Contracts = null);

[GenerateSerializer, Immutable, Alias("actors.StartReply")]
internal sealed record StartReply([property: Id(0)] WireError? Error, [property: Id(1)] Guid Run, [property: Id(2)] bool Started);

/// <param name="Name">Signal method, or topic.</param>
/// <param name="Payload">Of a method: the JSON array of its arguments. Of a topic: the message.</param>
[GenerateSerializer, Immutable, Alias("actors.SignalRequest")]
internal sealed record SignalRequest(
    [property: Id(0)] string Name,
    [property: Id(1)] bool IsTopic,
    [property: Id(2)] Payload Payload,
    [property: Id(3)] string MessageId,
    [property: Id(4)] IReadOnlyList<string>? Contracts = null);

[GenerateSerializer, Immutable, Alias("actors.QueryRequest")]
internal sealed record QueryRequest(
    [property: Id(0)] string Name, [property: Id(1)] Payload Arguments, [property: Id(2)] IReadOnlyList<string>? Contracts = null);

[GenerateSerializer, Immutable, Alias("actors.ValueReply")]
internal sealed record ValueReply([property: Id(0)] WireError? Error, [property: Id(1)] Payload Value);

/// <param name="Patience">After which the answer is that there is none yet.</param>
/// <param name="Type">The stored name of the caller's contract; null from callers that do not tell.</param>
[GenerateSerializer, Immutable, Alias("actors.ResultRequest")]
internal sealed record ResultRequest(
    [property: Id(0)] TimeSpan Patience, [property: Id(1)] string? Type = null, [property: Id(2)] IReadOnlyList<string>? Contracts = null);

/// <param name="Ended">False: nothing to tell yet, ask again.</param>
/// <param name="Failure">The recorded error of a failed run.</param>
[GenerateSerializer, Immutable, Alias("actors.ResultReply")]
internal sealed record ResultReply(
    [property: Id(0)] WireError? Error,
    [property: Id(1)] bool Ended,
    [property: Id(2)] Payload Result,
    [property: Id(3)] RecordedError? Failure);

[GenerateSerializer, Immutable, Alias("actors.RecordedError")]
internal sealed record RecordedError([property: Id(0)] string Type, [property: Id(1)] string Message, [property: Id(2)] string? Stack);

[GenerateSerializer, Immutable, Alias("actors.StatusReply")]
internal sealed record StatusReply(
    [property: Id(0)] WireError? Error,
    [property: Id(1)] bool Found,
    [property: Id(2)] Guid Run,
    [property: Id(3)] string Type,
    [property: Id(4)] int Status,
    [property: Id(5)] int Position,
    [property: Id(6)] int Epoch,
    [property: Id(7)] Guid? Owner,
    [property: Id(8)] DateTimeOffset CreatedAt,
    [property: Id(9)] DateTimeOffset? EndedAt,
    [property: Id(10)] string? Problem,
    [property: Id(11)] UndeliveredMessage[] Undelivered);
