using Actors.Calling;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>What a handle takes, and what it refuses before anything is sent.</summary>
public sealed class CallTests
{
    private readonly List<string> _sent = [];

    public interface INotes : IWorkflow<int, int>
    {
        [Signal]
        Task Note(object text);

        [Query]
        int Count();

        [Query]
        string Where();
    }

    public static TheoryData<string, Func<INotes, Task>> NotOneSignal => new()
    {
        { "two", async w => { await w.Note("first"); await w.Note("second"); } },
        { "two at once", w => Task.WhenAll(w.Note("first"), w.Note("second")) },
        { "none", _ => Task.CompletedTask },
        { "another after a pause", async w => { await w.Note("first"); await Task.Yield(); await w.Note("second"); } },
        { "throws after it", async w => { await w.Note("first"); throw new InvalidOperationException("mine"); } },
    };

    [Theory]
    [MemberData(nameof(NotOneSignal), DisableDiscoveryEnumeration = true)]
    public async Task A_signal_that_is_not_one_call_is_refused(string what, Func<INotes, Task> lambda)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => Handle().SignalAsync(lambda));
        Assert.Contains("exactly one call of a [Signal] method of INotes", error.Message, StringComparison.Ordinal);
        Assert.Equal(what == "throws after it", error.InnerException is InvalidOperationException);
        Assert.Throws<ArgumentException>(() => Handle().WithSignal(lambda));
        Assert.Empty(_sent);
    }

    [Fact]
    public async Task A_query_that_computes_from_its_call_is_refused()
    {
        await RefusedAsync(w => w.Count() + 100);
        await RefusedAsync(w => w.Count() > 0);
        await RefusedAsync(w => w.Where() ?? "nowhere");
        await RefusedAsync(w => w.Where()?.Length);
        await RefusedAsync(w => w.Count() + w.Count());
        await RefusedAsync(_ => 7);
        Assert.IsType<NullReferenceException>((await RefusedAsync(w => w.Where().Length)).InnerException);
        Assert.Empty(_sent);
    }

    [Fact]
    public async Task One_call_is_taken_however_it_is_written()
    {
        await Handle().SignalAsync(w => w.Note("a"));
        await Handle().SignalAsync(async w => await w.Note("a"));
        await Handle().SignalAsync(w =>
        {
            var text = "a";
            return w.Note(text);
        });
        Assert.Equal(7, await Handle().QueryAsync(w => w.Count()));
        Assert.Equal(7, await Handle().QueryAsync<int?>(w => w.Count()));
        await Assert.ThrowsAsync<FormatException>(() => Handle().SignalAsync(w => w.Note(int.Parse("no", null))));
        Assert.Equal(["SignalCall", "SignalCall", "SignalCall", "QueryCall", "QueryCall"], _sent);
    }

    [Fact]
    public async Task An_argument_that_JSON_cannot_hold_is_a_payload_error()
    {
        var error = await Assert.ThrowsAsync<PayloadException>(() => Handle().SignalAsync(w => w.Note(typeof(string))));
        Assert.Contains("Signal Note of workflow 'n': argument 'text'", error.Message, StringComparison.Ordinal);
        Assert.Empty(_sent);
    }

    [Theory]
    [InlineData("")]
    [InlineData("two\nlines")]
    [InlineData(null)]
    public async Task A_message_id_that_cannot_be_one_is_refused_in_the_same_way_everywhere(string? id)
    {
        id ??= new string('x', 201);
        var errors = new[]
        {
            await Assert.ThrowsAsync<ArgumentException>(() => Handle().SignalAsync(w => w.Note("a"), id)),
            await Assert.ThrowsAsync<ArgumentException>(() => Handle().SendAsync("topic", "a", id)),
            Assert.Throws<ArgumentException>(() => Handle().WithSignal(w => w.Note("a"), id)),
        };
        Assert.All(errors, error =>
            Assert.StartsWith("A message id is 1 to 200 characters, well-formed and without control characters; this one ", error.Message,
            StringComparison.Ordinal));
        Assert.Empty(_sent);
    }

    private async Task<ArgumentException> RefusedAsync<T>(Func<INotes, T> query)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(() => Handle().QueryAsync(query));
        Assert.Contains("compute with what QueryAsync returns", error.Message, StringComparison.Ordinal);
        return error;
    }

    private IWorkflowHandle<INotes> Handle()
    {
        var grain = UnreachableTests.Fake<IWorkflowGrain>((_, arguments) =>
        {
            _sent.Add(arguments![0]!.GetType().Name);
            return Task.FromResult(arguments[0] is QueryCall ? new ValueReply(null, new Payload("7"u8.ToArray())) : new CallReply(null));
        });
        return new WorkflowClient(
            UnreachableTests.Fake<IGrainFactory>(_ => grain), new PayloadSerializer(), TimeSpan.FromSeconds(1)).Get<INotes>("n");
    }
}
