using System.Data.Common;
using System.Reflection;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>Whoever calls workflows can be tested without any: client and handle are interfaces of public members.</summary>
public sealed class FakeTests
{
    [Theory]
    [InlineData(typeof(IWorkflowClient))]
    [InlineData(typeof(IWorkflowHandle<>))]
    public void What_callers_see_has_public_members_alone(Type seen) =>
        Assert.Empty(seen.GetMethods(BindingFlags.Instance | BindingFlags.NonPublic));

    [Fact]
    public async Task A_caller_runs_on_a_fake()
    {
        var client = new FakeClient();
        Assert.Equal("8 parcels", await new Counter(client).CountAsync("c-1", 7));
        Assert.Equal(["start c-1 7 StartNew r-1", "signal", "result"], client.Calls);
    }

    public interface ICounts : IWorkflow<int, int>
    {
        [Signal]
        Task More(int by);
    }

    /// <summary>What a user would test.</summary>
    private sealed class Counter(IWorkflowClient workflows)
    {
        public async Task<string> CountAsync(string id, int from)
        {
            var counting = workflows.Get<ICounts>(id);
            await counting.StartAsync(from, new StartOptions { Policy = StartPolicy.StartNew, RequestId = "r-1" });
            await counting.SignalAsync(c => c.More(1));
            return $"{await counting.ResultAsync()} parcels";
        }
    }

    private sealed class FakeClient : IWorkflowClient
    {
        public List<string> Calls { get; } = [];

        public IWorkflowHandle<TContract> Get<TContract>(string id, string @namespace = "default")
            where TContract : class, IWorkflow => new FakeHandle<TContract>(new WorkflowId(id, @namespace), Calls);

        public Task<long> StartManyAsync<TContract, TInput>(
            IEnumerable<KeyValuePair<string, TInput>> inputs, DbTransaction transaction, string @namespace = "default",
            CancellationToken cancellation = default)
            where TContract : class, IWorkflow => Task.FromResult(inputs.LongCount());
    }

    private sealed class FakeHandle<TContract>(WorkflowId id, List<string> calls) : IWorkflowHandle<TContract>
        where TContract : class, IWorkflow
    {
        private int _count;

        public WorkflowId Id => id;

        public Task SignalAsync(Func<TContract, Task> call, string? messageId = null, CancellationToken cancellation = default)
        {
            calls.Add("signal");
            _count++;
            return Task.CompletedTask;
        }

        public Task SendAsync<TMessage>(
            string topic, TMessage message, string? messageId = null, CancellationToken cancellation = default) => Task.CompletedTask;

        public Task<TValue> QueryAsync<TValue>(Func<TContract, TValue> query, CancellationToken cancellation = default) =>
            Task.FromResult(default(TValue)!);

        public Task<WorkflowView?> StatusAsync(CancellationToken cancellation = default) => Task.FromResult<WorkflowView?>(null);

        public Task<bool> ResumeAsync(string? requestId = null, CancellationToken cancellation = default) => Task.FromResult(false);

        public Task WakeAsync(CancellationToken cancellation = default) => Task.CompletedTask;

        public IWorkflowHandle<TContract> WithSignal(Func<TContract, Task> call, string? messageId = null) => this;

        public IWorkflowHandle<TContract> Run(Guid run) => this;

        public Task<StartedRun> StartUntypedAsync<TInput>(TInput input, StartOptions options, CancellationToken cancellation)
        {
            calls.Add($"start {id.Id} {input} {options.Policy} {options.RequestId}");
            _count = (int)(object)input!;
            return Task.FromResult(new StartedRun(Guid.Empty, true));
        }

        public Task StartUntypedAsync<TInput>(TInput input, DbTransaction transaction, CancellationToken cancellation) =>
            Task.CompletedTask;

        public Task<TResult> ResultUntypedAsync<TResult>(CancellationToken cancellation)
        {
            calls.Add("result");
            return Task.FromResult((TResult)(object)_count);
        }
    }
}
