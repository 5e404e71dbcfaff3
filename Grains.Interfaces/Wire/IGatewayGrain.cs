namespace Actors.Wire;

/// <summary>Workflows by way of whichever silo is called; the keys are 0 to 255, all the same.</summary>
[Alias("actors.IGatewayGrain")]
internal interface IGatewayGrain : IGrainWithIntegerKey
{
    /// <param name="workflow">Key of the workflow's grain.</param>
    [Alias("call")]
    Task<CallReply> CallAsync(string workflow, WorkflowCall call);
}
