namespace Actors;

/// <summary>A message of a committed workflow entry. Nothing of an aborted transaction ever becomes one.</summary>
/// <param name="Id">The same at every attempt, and never another message's: the run and the message's number in it, as in
/// <c>6f1c…:7</c>.</param>
/// <param name="Workflow">Whose message it is.</param>
/// <param name="Run">Which of the workflow's runs.</param>
/// <param name="WorkflowType">Name of the workflow's type.</param>
/// <param name="Topic">As it was published.</param>
/// <param name="Key">As it was published: messages with the same key arrive in the order of their commits, those of one run if it is
/// empty.</param>
/// <param name="Json">The payload, UTF-8, decoded by the codec.</param>
/// <param name="At">Database time of the commit.</param>
/// <param name="Attempt">From 1: one more than the attempts that failed. Of a message behind a failure of its lane no attempt
/// counts.</param>
public sealed record OutboxMessage(
    string Id, WorkflowId Workflow, Guid Run, string WorkflowType, string Topic, string Key, ReadOnlyMemory<byte> Json, DateTimeOffset At,
    int Attempt)
{
    /// <summary>When this attempt began, by the database's clock as the silo knows it; null from whoever makes messages by hand.</summary>
    public DateTimeOffset? AttemptAt { get; init; }
}
