namespace Actors.Wire;

/// <summary>Workflows by way of whichever silo is called; the keys are 0 to 255, all the same. The calls are those of <see cref="IWorkflowGrain"/>.</summary>
/// <remarks>Parameter <c>workflow</c> is the key of the workflow's grain.</remarks>
[Alias("actors.IGatewayGrain")]
internal interface IGatewayGrain : IGrainWithIntegerKey
{
    [Alias("start")]
    Task<StartReply> StartAsync(string workflow, StartRequest request);

    [Alias("signal")]
    Task<WireError?> SignalAsync(string workflow, SignalRequest request);

    [Alias("query")]
    Task<ValueReply> QueryAsync(string workflow, QueryRequest request);

    [Alias("result")]
    Task<ResultReply> ResultAsync(string workflow, ResultRequest request);
}
