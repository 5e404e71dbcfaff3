using System.Reflection;
using Actors.Calling;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>What a client makes of calls that the cluster does not answer.</summary>
public sealed class UnreachableTests
{
    private readonly Queue<Exception?> _answers = new();

    /// <summary>Orleans does this to messages that it cannot place in time while a silo dies.</summary>
    [Fact]
    public async Task A_wait_goes_on_when_a_silo_cancels_the_call_and_ends_when_the_caller_does()
    {
        var workflow = Handle();
        _answers.Enqueue(new OperationCanceledException("Message expired before placement could complete."));
        _answers.Enqueue(new TimeoutException());
        _answers.Enqueue(new Orleans.Serialization.CodecNotFoundException(
            "Could not find a codec for type Polly.Timeout.TimeoutRejectedException."));
        _answers.Enqueue(null);

        Assert.Equal(7, await workflow.ResultAsync(TestContext.Current.CancellationToken));

        using var own = new CancellationTokenSource();
        await own.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => workflow.ResultAsync(own.Token));
    }

    [Fact]
    public async Task Any_other_call_is_tried_again_for_a_while_and_then_unavailable()
    {
        Enumerable.Range(0, 1000).ToList().ForEach(
            _ => _answers.Enqueue(new OperationCanceledException("Message expired before placement could complete.")));

        var error = await Assert.ThrowsAsync<WorkflowUnavailableException>(
            () => Handle().StatusAsync(TestContext.Current.CancellationToken));

        Assert.True(error.IsTransient);
        Assert.True(_answers.Count < 999);
    }

    public interface INumber : IWorkflow<int, int>;

    private IWorkflowHandle<INumber> Handle()
    {
        var grain = Fake<IWorkflowGrain>(method => _answers.Dequeue() is { } error
            ? typeof(Task).GetMethods().Single(m => m is { Name: nameof(Task.FromException), IsGenericMethod: true })
                .MakeGenericMethod(method.ReturnType.GenericTypeArguments[0]).Invoke(null, [error])
            : Task.FromResult<CallReply>(new ResultReply(null, true, new Payload("7"u8.ToArray()), null)));
        return new WorkflowClient(Fake<IGrainFactory>(_ => grain), new PayloadSerializer(), TimeSpan.FromSeconds(1)).Get<INumber>("n");
    }

    internal static T Fake<T>(Func<MethodInfo, object?> answer)
        where T : class => Fake<T>((method, _) => answer(method));

    internal static T Fake<T>(Func<MethodInfo, object?[]?, object?> answer)
        where T : class
    {
        var fake = DispatchProxy.Create<T, Faked>();
        ((Faked)(object)fake).Answer = answer;
        return fake;
    }

    public class Faked : DispatchProxy
    {
        internal Func<MethodInfo, object?[]?, object?> Answer { get; set; } = (_, _) => null;

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Answer(targetMethod!, args);
    }
}
