using System.Diagnostics;
using Actors.Wire;

namespace Actors.Cluster;

/// <summary>A span for each call that a silo answers, behind the caller's own wherever that is: source <c>Actors</c>. Where nobody listens
/// it costs a look at a list.</summary>
internal static class CallTracing
{
    private static readonly ActivitySource Source = new("Actors");

    public static async Task<CallReply?> AroundAsync(WorkflowId id, WorkflowCall call, Func<Task<CallReply?>> answer)
    {
        using var span = Source.HasListeners() ? Begin(id, call) : null;
        var reply = await answer();
        if (span is not null && reply?.Error is { } error)
        {
            span.SetTag("error.type", error.Code).SetStatus(ActivityStatusCode.Error, error.Message);
        }

        return reply;
    }

    private static Activity? Begin(WorkflowId id, WorkflowCall call)
    {
        _ = ActivityContext.TryParse(call.Trace, null, isRemote: true, out var parent);
        var span = Source.StartActivity(call.GetType().Name[..^"Call".Length].ToLowerInvariant(), ActivityKind.Server, parent);
        return span?.SetTag("actors.namespace", id.Namespace).SetTag("actors.workflow", id.Id);
    }
}
