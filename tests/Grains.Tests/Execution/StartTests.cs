using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Starts: one run for an id, whatever is repeated, and nothing written for bad input.</summary>
public sealed class StartTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static Task<string> Key(Scripted w) => w.Step("charge", step => Task.FromResult($"{w.Input} {step.IdempotencyKey}"));

    [Fact]
    public async Task Every_start_of_an_id_attaches_to_the_one_run()
    {
        await using var engine = await database.ScriptAsync(Key);
        await using var other = await database.ScriptAsync(Key);
        var starts = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => (i % 2 == 0 ? engine : other).StartAsync("one", $"{i}")));
        Assert.Single(starts, start => start.Started);
        Assert.Single(starts.Select(start => start.Run).Distinct());
        await engine.ResultAsync<string>("one");
        var after = await other.StartAsync("one", "after the end");
        Assert.Equal((starts[0].Run, false), (after.Run, after.Started));
    }

    [Fact]
    public async Task Code_begins_on_the_thread_that_its_start_committed_on_so_that_its_first_commit_goes_in_the_next_group()
    {
        if (!BlockingSocket.IsPossible)
        {
            return;
        }

        await using var engine = await database.ScriptAsync(
            w => Task.FromResult(Thread.CurrentThread.Name ?? "a thread of the pool"), builder =>
                builder.Execution.ReplayCheck = ReplayCheck.Off);
        var began = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            // The first commit opens the connection, and the thread may still be at the one before.
            began.Add(await engine.RunAsync($"begins-{i}"));
        }

        Assert.Contains("journal", began);
    }

    [Fact]
    public async Task Reject_throws_for_an_id_that_is_taken()
    {
        await using var engine = await database.ScriptAsync(Key);
        await engine.StartAsync("taken", policy: StartPolicy.Reject);
        var error = await Assert.ThrowsAsync<WorkflowExistsException>(() => engine.StartAsync("taken", policy: StartPolicy.Reject));
        Assert.Contains("'taken' exists", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartNew_opens_another_run_after_the_end_and_keeps_the_old_result()
    {
        await using var engine = await database.ScriptAsync(Key);
        var first = await engine.StartAsync("again", "a", StartPolicy.StartNew);
        var result = await engine.ResultAsync<string>("again");
        var second = await engine.StartAsync("again", "b", StartPolicy.StartNew);
        var other = await engine.ResultAsync<string>("again");
        Assert.True(first.Started && second.Started && first.Run != second.Run);
        Assert.StartsWith("b ", other, StringComparison.Ordinal);
        Assert.NotEqual(result[2..], other[2..]);
        Assert.Equal(
            System.Text.Json.JsonSerializer.Serialize(result),
            await database.ScalarAsync<string>(
                $"select payload::text from actors.journal j join actors.runs w using (instance) where w.run = '{first.Run}' and kind "
                + $"= 11"));
    }

    [Fact]
    public async Task Whoever_knows_the_result_can_start_anew_at_once()
    {
        await using var engine = await database.ScriptAsync(Key);
        for (var i = 0; i < 50; i++)
        {
            Assert.True((await engine.StartAsync("at-once", $"{i}", StartPolicy.StartNew)).Started);
            Assert.StartsWith($"{i} ", await engine.ResultAsync<string>("at-once"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task StartNew_attaches_while_the_run_goes_on()
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w => { await w.Step("hold", _ => gate.PassAsync()); return ""; });
        var first = await engine.StartAsync("busy", policy: StartPolicy.StartNew);
        var second = await engine.StartAsync("busy", policy: StartPolicy.StartNew);
        Assert.Equal((first.Run, false), (second.Run, second.Started));
        gate.Open();
    }

    [Fact]
    public async Task Of_several_that_start_an_ended_id_anew_one_does_and_the_others_attach_or_follow()
    {
        await using var engine = await database.ScriptAsync(Key);
        await using var other = await database.ScriptAsync(Key);
        await engine.RunAsync("crowd");
        var (held, gate) = (0, new Gate());
        engine.Probe.Before = name => name == "commit" && Interlocked.Increment(ref held) == 1 ? gate.PassAsync() : Task.CompletedTask;
        var late = engine.StartAsync("crowd", "late", StartPolicy.StartNew); // Its group is on its way when another retires the run.
        await gate.Reached;
        Assert.True((await other.StartAsync("crowd", "early", StartPolicy.StartNew)).Started);
        gate.Open();
        await late.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(1, await database.ScalarAsync<int>("select count(*) from actors.runs where id = 'crowd' and latest"));
    }

    [Fact]
    public async Task A_run_that_is_woken_while_it_starts_lives_once_in_memory()
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w => { await w.WaitUntil(() => w.Heard.Count > 0); return w.Heard[0]; });
        engine.Probe.After = name => name == "commit" ? gate.PassAsync() : Task.CompletedTask;
        var start = engine.StartAsync("woken");
        await gate.Reached;
        engine.Probe.After = null;
        await engine.WakeAsync("woken");
        var resident = engine.Engine.Resident(new WorkflowId("woken"));
        gate.Open();
        Assert.True((await start).Started);
        Assert.Same(resident, engine.Engine.Resident(new WorkflowId("woken")));
        await engine.PokeAsync("woken", "heard");
        Assert.Equal("heard", await engine.ResultAsync<string>("woken"));
    }

    [Fact]
    public async Task A_start_of_an_unknown_type_or_of_another_type_is_refused_and_writes_nothing()
    {
        await using var engine = await database.ScriptAsync(Key);
        var unknown = await Assert.ThrowsAsync<UnknownWorkflowTypeException>(() => engine.StartWorkflowAsync("unknown", "Nothing", 1));
        Assert.Contains("no workflow 'Nothing'. It has: Scripted", unknown.Message, StringComparison.Ordinal);
        await database.ExecuteAsync("select actors.register_type('Foreign')");
        await database.ExecuteAsync("select actors.start_workflow('default', 'typed', 'Foreign', '1')");
        var mismatch = await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => engine.StartAsync("typed"));
        Assert.Contains("'typed' exists and is a Foreign, not a Scripted", mismatch.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<UnknownWorkflowTypeException>(() => engine.WakeAsync("typed")); // Not claimed: another silo may have it.
        Assert.Equal(0, (await engine.StatusAsync("typed")).Epoch);
        await engine.PokeAsync("typed", "for another silo");
        Assert.Equal(1, await database.CountAsync("inbox", "typed"));
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from actors.runs where id = 'unknown'"));
    }

    [Theory]
    [InlineData("large", nameof(PayloadTooLargeException), "4,096")]
    [InlineData("nul", nameof(PayloadException), "U+0000")]
    [InlineData("shape", nameof(PayloadException), "cannot be read as String")]
    [InlineData("no JSON", nameof(PayloadException), "cannot be read as String")]
    public async Task An_input_that_cannot_be_kept_or_read_is_refused_and_writes_nothing(string what, string type, string says)
    {
        await using var engine = await database.ScriptAsync(Key, builder => builder.Execution.PayloadSizeMax = 4096);
        var json = what switch
        {
            "large" => $"\"{new string('x', 5000)}\"",
            "nul" => "\"secret\\u0000\"",
            "shape" => "{\"secret\": 1}",
            _ => "secret",
        };
        var request = new StartCall(Scripted.Name, new Payload(System.Text.Encoding.UTF8.GetBytes(json)), StartPolicy.Attach, null);
        var error = await Assert.ThrowsAnyAsync<ActorsException>(() => engine.Engine.StartAsync(new WorkflowId(what), request));
        Assert.Equal(type, error.GetType().Name);
        Assert.Contains($"Input of workflow '{what}'", error.Message, StringComparison.Ordinal);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, await database.ScalarAsync<int>($"select count(*) from actors.runs where id = '{what}'"));
    }

    [Fact]
    public async Task A_stored_input_that_the_code_cannot_read_sets_the_run_aside()
    {
        await using var engine = await database.ScriptAsync(Key);
        await database.ExecuteAsync("select actors.start_workflow('default', 'stored', 'Scripted', '{\"secret\": 1}')");
        var reason = await engine.SetAsideAsync("stored");
        Assert.Contains("Input of workflow 'stored': the payload cannot be read as String", reason, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_workflow_whose_constructor_cannot_be_resolved_is_set_aside_and_resumes_when_it_can()
    {
        // Without a Script.
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Scripted>());
        var error = await Assert.ThrowsAsync<WorkflowSetAsideException>(() => engine.StartAsync("made", "in"));
        Assert.Contains("Scripted cannot be made", error.Message, StringComparison.Ordinal);
        Assert.Contains("register what its constructor takes", await engine.SetAsideAsync("made"), StringComparison.Ordinal);
        await using var mended = await database.ScriptAsync(Key);
        Assert.True(await mended.Engine.ResumeAsync(new WorkflowId("made"), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.StartsWith("in ", await mended.ResultAsync<string>("made"), StringComparison.Ordinal);
    }
}
