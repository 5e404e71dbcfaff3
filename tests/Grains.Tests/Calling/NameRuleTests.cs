using System.ComponentModel.DataAnnotations;
using Actors.Calling;
using Actors.Grains.Tests.Execution;
using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>Every name that a caller gives obeys one rule, at every door, before anything is written.</summary>
[EachPostgres]
public sealed class NameRuleTests(TestDatabase database, ITestOutputHelper output) : IClassFixture<TestDatabase>
{
    private const string Rule = "characters, well-formed and without control characters; this one ";

    public static TheoryData<string> BadNames =>
        ["ab😀"[..3], "\ude00b", "", "tab\t", "zero\0", "next\u0085", new string('x', 201), string.Concat(Enumerable.Repeat("😀", 201))];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_name_is_valid_in_code_and_in_SQL_or_in_neither()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        string[] parts = ["x", "é", "中", "😀", " ", "/", "\u00a0", "\u2028", "\ufffd", "\u0301"];
        string[] controls = ["\u0001", "\u001f", "\u007f", "\u0080", "\u009f"];
        var (valid, refused) = (0, 0);
        for (var i = 0; i < 400; i++)
        {
            var length = random.Next(4) switch { 0 => 200, 1 => 201, _ => random.Next(0, 205) };
            var name = string.Concat(Enumerable.Range(0, length).Select(_ => parts[random.Next(parts.Length)]));
            name = random.Next(4) == 0 ? name.Insert(0, controls[random.Next(controls.Length)]) : name;
            await using var command = database.DataSource.CreateCommand(
                "select actors.require_name_1('message id', $1, length($1), 200), actors.require_name_1('topic', $1, length($1), 200)");
            command.Parameters.Add(new NpgsqlParameter { Value = name });
            var error = await Record.ExceptionAsync(() => command.ExecuteScalarAsync(Cancel));
            Assert.Equal((NameRule.Broken(name, "A name"), name) is (null, _), error is null);
            Assert.True(error is null or PostgresException { SqlState: "AC003" });
            (valid, refused) = error is null ? (valid + 1, refused) : (valid, refused + 1);
        }

        Assert.True(valid > 50 && refused > 50, $"{valid} valid and {refused} refused names are no test.");
    }

    [Theory]
    [MemberData(nameof(BadNames), DisableDiscoveryEnumeration = true)]
    public async Task A_caller_s_name_is_refused_before_anything_is_sent(string bad)
    {
        var sent = 0;
        var grain = UnreachableTests.Fake<IWorkflowGrain>(_ => { sent++; return Task.FromResult(new CallReply(null)); });
        var client = new WorkflowClient(UnreachableTests.Fake<IGrainFactory>(_ => grain), new PayloadSerializer(), TimeSpan.FromSeconds(1));
        var handle = client.Get<CallTests.INotes>("n");
        await RefusedAsync<ArgumentException>(() => handle.SignalAsync(w => w.Note("a"), bad));
        await RefusedAsync<ArgumentException>(() => handle.SendAsync("topic", 1, bad));
        await RefusedAsync<ArgumentException>(() => handle.SendAsync(bad, 1));
        await RefusedAsync<ArgumentException>(() => Task.FromResult(handle.WithSignal(w => w.Note("a"), bad)));
        Assert.Throws<InvalidWorkflowIdException>(() => client.Get<CallTests.INotes>(bad));
        Assert.Throws<InvalidWorkflowIdException>(() => client.Get<CallTests.INotes>("n", bad));
        Assert.Equal(0, sent);
    }

    [Theory]
    [MemberData(nameof(BadNames), DisableDiscoveryEnumeration = true)]
    public async Task A_foreign_caller_s_name_is_refused_by_the_engine_and_the_run_goes_on(string bad)
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Contains("enough"));
            return "ended";
        });
        var (id, fresh) = (new WorkflowId($"foreign {Guid.NewGuid()}"), new WorkflowId("unmade"));
        await engine.StartAsync(id.Id);
        var (one, none) = (engine.Engine.Context.Payloads.Write(new[] { "x" }, $"x"), engine.Engine.Context.Payloads.Write("", $"x"));
        foreach (var name in new[] { bad, null! })
        {
            await RefusedAsync<UnknownMethodException>(() => engine.Engine.SignalAsync(id, new SignalCall("Poke", false, one, name)));
            await RefusedAsync<UnknownMethodException>(() => engine.Engine.SignalAsync(id, new SignalCall(name, false, one, "m")));
            await RefusedAsync<UnknownMethodException>(() => engine.Engine.SignalAsync(id, new SignalCall(name, true, one, "m")));
            await RefusedAsync<UnknownMethodException>(() => engine.Engine.QueryAsync(id, new QueryCall(name, none)));
            await RefusedAsync<UnknownWorkflowTypeException>(
                () => engine.Engine.StartAsync(fresh, new StartCall(name, none, StartPolicy.Attach, null)));
            await RefusedAsync<UnknownMethodException>(() => engine.Engine.StartAsync(
                fresh, new StartCall(Scripted.Name, none, StartPolicy.Attach, new SignalCall("Poke", false, one, name))));
        }

        Assert.False((await engine.StatusAsync(fresh.Id)).Found);
        await engine.PokeAsync(id.Id, "enough");
        Assert.Equal("ended", await engine.ResultAsync<string>(id.Id));
    }

    [Theory]
    [MemberData(nameof(BadNames), DisableDiscoveryEnumeration = true)]
    public async Task A_workflow_s_own_name_fails_where_the_code_gives_it(string bad)
    {
        var doors = new Dictionary<string, Func<Scripted, Task>>
        {
            ["step"] = w => w.Step(bad, () => 0),
            ["transaction"] = w => w.Transaction(bad, _ => Task.FromResult(0)),
            ["receive"] = w => w.Receive<int>(bad),
            ["topic"] = w => Told(() => w.Publish(bad, "k", 0)),
            ["key"] = w => Told(() => w.Publish("topic", bad.Length == 0 ? "\t" : bad, 0)),
            ["step's topic"] = w => w.Step("s", s => Told(() => s.Publish(bad, "k", 0)), Retry.None),
            ["transaction's topic"] = w =>
                w.Transaction("t", t => Told(() => t.Publish(bad, "k", 0)), new TransactionOptions { Retry = Retry.None }),
        };
        await using var engine = await database.ScriptAsync(async w =>
        {
            var error = await Record.ExceptionAsync(() => doors[w.Input](w));
            return error!.Message;
        });
        foreach (var door in doors.Keys)
        {
            var id = $"{door} {Guid.NewGuid()}";
            await engine.StartAsync(id, door);
            Assert.Contains(Rule, await engine.ResultAsync<string>(id), StringComparison.Ordinal);
            Assert.Equal(0, await database.CountAsync("outbox", id.Replace("'", "''", StringComparison.Ordinal)));
        }

        static Task Told(Action call)
        {
            call();
            return Task.CompletedTask;
        }
    }

    [Theory]
    [MemberData(nameof(BadNames), DisableDiscoveryEnumeration = true)]
    public void A_host_s_name_is_refused_where_it_is_configured(string bad)
    {
        var sink = new HandlerSink((_, _) => Task.CompletedTask);
        Refused<ArgumentException>(() => new OutboxRoutes().Add(bad, sink, "*"));
        Refused<ArgumentException>(() => new OutboxRoutes().Add("a", sink, "*", bad));
        Refused<ValidationException>(
            () => Host.CreateApplicationBuilder().AddActors(database.ConnectionString, actors => actors.Cluster.ClusterId = bad));
        Refused<ValidationException>(
            () => Host.CreateApplicationBuilder().AddActors(database.ConnectionString, actors => actors.Cluster.SiloName = bad));
        Refused<ValidationException>(
            () => Host.CreateApplicationBuilder().AddActorsClient(database.ConnectionString, client => client.ClusterId = bad));
    }

    [Fact]
    public async Task The_text_of_an_error_is_shortened_and_mended_wherever_it_is_cut()
    {
        await using var engine = await database.ScriptAsync(w => throw new FormatException(w.Input));
        for (var i = 0; i < 2; i++)
        {
            var text = new string('x', (16 * 1024) - 1 - i) + string.Concat(Enumerable.Repeat("😀", 9));
            await engine.StartAsync($"long {i}", text);
            var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.ResultAsync<string>($"long {i}"));
            Assert.Equal(i == 0 ? text[..((16 * 1024) - 1)] + "…" : text[..(16 * 1024)] + "…", error.ErrorMessage);
        }
    }

    private static async Task RefusedAsync<T>(Func<Task> call)
        where T : Exception => Assert.Contains(Rule, (await Assert.ThrowsAsync<T>(call)).Message, StringComparison.Ordinal);

    private static void Refused<T>(Action call)
        where T : Exception => Assert.Contains(Rule, Assert.Throws<T>(call).Message, StringComparison.Ordinal);
}
