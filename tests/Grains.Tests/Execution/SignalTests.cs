using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Signals and topics: acknowledged after their commit, delivered once, in the order of the journal, whatever state the run is
/// in.</summary>
public sealed class SignalTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static async Task<string> HearThree(Scripted w)
    {
        await w.WaitUntil(() => w.Heard.Count >= 3);
        return string.Join(",", w.Heard);
    }

    [Fact]
    public async Task Signals_before_the_first_turn_while_running_and_at_rest_are_delivered_in_order()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        await database.ExecuteAsync("select actors.start_workflow('default', 'states', 'Scripted', '\"\"')");
        await engine.PokeAsync("states", "first");
        await engine.PokeAsync("states", "second");
        await engine.RestAsync("states");
        Assert.Equal(0, engine.Engine.ResidentCount);
        await engine.PokeAsync("states", "third");
        Assert.Equal("first,second,third", await engine.ResultAsync<string>("states"));
    }

    [Fact]
    public async Task A_signal_to_an_id_without_a_workflow_is_refused()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        Assert.Contains("'nobody'", (await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.PokeAsync("nobody", ""))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_id_is_taken_once_live_in_the_inbox_and_after_a_reload()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        await engine.StartAsync("twice");
        await Task.WhenAll(engine.PokeAsync("twice", "one", "m1"), engine.PokeAsync("twice", "one", "m1"),
            engine.PokeAsync("twice", "one", "m1"));
        await SendAsync("twice", "m1", "one");
        await SendAsync("twice", "m2", "two");
        await SendAsync("twice", "m2", "two");
        await engine.PokeAsync("twice", "two", "m2"); // Overtakes the mail, which is then a repeat.
        await engine.WakeAsync("twice");
        await engine.RestAsync("twice");
        await engine.PokeAsync("twice", "one", "m1");
        await engine.PokeAsync("twice", "two", "m2");
        await engine.PokeAsync("twice", "three", "m3");
        Assert.Equal("one,two,three", await engine.ResultAsync<string>("twice"));
        await engine.PokeAsync("twice", "three", "m3");
        Assert.Equal(0, await database.CountAsync("inbox", "twice"));
    }

    [Fact]
    public async Task An_acknowledged_signal_survives_the_death_of_its_silo()
    {
        await using var first = await database.ScriptAsync(HearThree);
        await using var second = await database.ScriptAsync(HearThree);
        await first.StartAsync("acknowledged");
        await first.PokeAsync("acknowledged", "1");
        await first.PokeAsync("acknowledged", "2");
        await first.DieAsync();
        await second.PokeAsync("acknowledged", "3");
        Assert.Equal("1,2,3", await second.ResultAsync<string>("acknowledged"));
    }

    [Fact]
    public async Task Handlers_give_commands_and_the_run_ends_when_they_have_ended()
    {
        var gate = new Gate();
        var script = new Script(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "main ended";
        })
        {
            OnPoke = async (w, text) =>
            {
                w.Heard.Add(text);
                w.Heard.Add(await w.Step("handle", _ => gate.PassAsync($"handled {text}")));
                await w.Transaction("store", tx => { tx.Publish("topic", "k", text); return Task.CompletedTask; });
                w.Publish("topic", "k", "published by the handler");
            },
        };
        await using var engine = await database.ScriptAsync(script);
        await engine.StartAsync("handlers");
        await engine.PokeAsync("handlers", "a");
        await gate.Reached;
        Assert.Equal((int)WorkflowStatus.Running, (await engine.StatusAsync("handlers")).Status);
        gate.Open();
        Assert.Equal("main ended", await engine.ResultAsync<string>("handlers"));
        Assert.Equal("a,handled a", await engine.AskAsync("handlers"));
        Assert.Equal(2, await database.CountAsync("outbox", "handlers"));
    }

    [Fact]
    public async Task A_handler_that_throws_fails_the_run_with_its_error()
    {
        var script = new Script(HearThree) { OnPoke = (_, text) => throw new FormatException($"cannot take {text}") };
        await using var engine = await database.ScriptAsync(script);
        await engine.StartAsync("throws");
        await engine.PokeAsync("throws", "this");
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.ResultAsync<string>("throws"));
        Assert.Equal("System.FormatException: cannot take this", $"{error.ErrorType}: {error.ErrorMessage}");
    }

    [Fact]
    public async Task Mail_that_is_unread_at_the_end_is_delivered_before_it()
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("last", _ => gate.PassAsync());
            return "ended";
        });
        await engine.StartAsync("late");
        await gate.Reached;
        await SendAsync("late", "m1", "just in time");
        gate.Open();
        Assert.Equal("ended", await engine.ResultAsync<string>("late"));
        Assert.Equal("just in time", await engine.AskAsync("late"));
        Assert.Equal(0, await database.CountAsync("inbox", "late"));
    }

    [Fact]
    public async Task A_signal_to_an_ended_run_is_refused_and_nothing_is_written()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult("over"));
        await engine.RunAsync("over");
        var journal = await database.JournalAsync("over");
        Assert.Contains("'over' has ended", (await Assert.ThrowsAsync<WorkflowEndedException>(() => engine.PokeAsync("over", "?"))).Message,
            StringComparison.Ordinal);
        Assert.Equal(journal, await database.JournalAsync("over"));
        Assert.False(await database.ScalarAsync<bool>("select accepted from actors.send('default', 'over', 'm', 'Poke', '[\"?\"]')"));
        Assert.Equal(0, await database.CountAsync("inbox", "over"));
    }

    [Fact]
    public async Task A_signal_to_a_run_that_was_set_aside_is_kept_and_delivered_after_it_is_resumed()
    {
        var never = new Gate();
        await using var broken = await database.ScriptAsync(
            w => { _ = w.Step("forgotten", _ => never.PassAsync()); return Task.FromResult(""); });
        await using var mended = await database.ScriptAsync(HearThree);
        await broken.StartAsync("aside");
        await broken.PokeAsync("aside", "0"); // May meet the setting aside itself.
        await broken.SetAsideAsync("aside");
        await broken.PokeAsync("aside", "1", "m1");
        await broken.PokeAsync("aside", "1", "m1");
        await broken.PokeAsync("aside", "2");
        Assert.True(await mended.Engine.ResumeAsync(new WorkflowId("aside"), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.Equal("0,1,2", await mended.ResultAsync<string>("aside"));
        never.Open();
    }

    [Fact]
    public async Task A_signal_that_does_not_fit_is_refused_and_nothing_is_written()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        await engine.StartAsync("unfit");
        await Assert.ThrowsAsync<UnknownMethodException>(() => engine.SignalAsync("unfit", "Prod", []));
        await Assert.ThrowsAsync<PayloadException>(() => engine.SignalAsync("unfit", "Poke", [1, 2]));
        var error = await Assert.ThrowsAsync<PayloadException>(() => engine.SignalAsync("unfit", "Poke", [new { secret = 1 }]));
        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
        Assert.Single(await database.JournalAsync("unfit"));
    }

    [Fact]
    public async Task Mail_from_SQL_that_does_not_fit_is_kept_as_undelivered_and_harms_nobody()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        await engine.StartAsync("unfit-mail");
        await database.ExecuteAsync("select actors.send('default', 'unfit-mail', 'bad', 'Poke', '[{\"no\": \"text\"}]')");
        foreach (var text in new[] { "1", "2", "3" })
        {
            await SendAsync("unfit-mail", text, text);
        }

        await engine.WakeAsync("unfit-mail");
        Assert.Equal("1,2,3", await engine.ResultAsync<string>("unfit-mail"));
        Assert.Equal("bad", Assert.Single((await engine.StatusAsync("unfit-mail")).Undelivered).MessageId);
    }

    [Fact]
    public async Task Mail_that_was_kept_as_undelivered_is_sent_again_by_its_id_and_mended()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        await engine.StartAsync("mended mail");
        await database.ExecuteAsync("select actors.send('default', 'mended mail', 'n', 'Poke', '[{\"no\": 1}]')");
        await engine.WakeAsync("mended mail");
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); (await engine.StatusAsync("mended mail")).Undelivered.Length == 0;)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20));
        }

        await SendAsync("mended mail", "n", "two");
        await engine.WakeAsync("mended mail");
        await engine.PokeAsync("mended mail", "three");
        await engine.PokeAsync("mended mail", "four");
        await engine.ResultAsync<string>("mended mail");
        Assert.Empty((await engine.StatusAsync("mended mail")).Undelivered);
    }

    [Fact]
    public async Task Mail_from_SQL_has_an_id_and_a_name_and_no_id_is_taken_by_the_engine()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 2);
            return string.Join(",", w.Heard);
        });
        foreach (var mail in new[] { "'', 'Poke'", "'m', ''", "E'm\\n', 'Poke'", "repeat('m', 201), 'Poke'", "'m', E'Po\\x1fke'" })
        {
            var error = await Assert.ThrowsAsync<Npgsql.PostgresException>(
                () => database.ExecuteAsync($"select actors.send('default', 'ids', {mail}, '[]')"));
            Assert.Equal("AC003", error.SqlState);
        }

        await database.ExecuteAsync("""
            select actors.start_workflow('default', 'ids', 'Scripted', '""');
            select actors.send('default', 'ids', 'start', 'Poke', '["one"]');
            select actors.send('default', 'ids', 'wake', 'Poke', '["two"]');
            """);
        await engine.WakeAsync("ids");
        Assert.Equal("one,two", await engine.ResultAsync<string>("ids"));
    }

    [Fact]
    public async Task A_topic_named_like_a_signal_is_the_signal_wherever_the_run_is()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 1);
            return w.Heard[0];
        });
        await engine.StartAsync("alike");
        await engine.Engine.SignalAsync(
            new WorkflowId("alike"),
            new Actors.Wire.SignalCall("Poke", IsTopic: true, engine.Engine.Context.Payloads.Write(new[] { "live" }, $"test"), "m"));
        Assert.Equal("live", await engine.ResultAsync<string>("alike"));
    }

    [Fact]
    public async Task SQL_starts_and_signals_with_the_callers_commit_or_not_at_all()
    {
        await using var engine = await database.ScriptAsync(HearThree);
        const string start = "select run::text from actors.start_workflow('default', 'sql', 'Scripted', '\"\"')";
        await database.ExecuteAsync($"begin; {start}; select actors.send('default', 'sql', 'm0', 'Poke', '[\"never\"]'); rollback");
        Assert.Null((await engine.Engine.OpenAsync(new WorkflowId("sql"))).Row);
        var run = await database.ScalarAsync<string>(start);
        Assert.Equal(run, await database.ScalarAsync<string>(start));
        await database.ExecuteAsync(
            "begin; select actors.send('default', 'sql', 'm1', 'Poke', '[\"1\"]'); select actors.send('default', 'sql', 'm1', 'Poke', "
            + "'[\"1\"]'); commit");
        await database.ExecuteAsync("begin; select actors.send('default', 'sql', 'm2', 'Poke', '[\"2\"]'); rollback");
        await engine.WakeAsync("sql");
        await engine.PokeAsync("sql", "2", "m2");
        await SendAsync("sql", "m1", "1");
        await SendAsync("sql", "m3", "3");
        await engine.WakeAsync("sql");
        Assert.Equal("1,2,3", await engine.ResultAsync<string>("sql"));
        Assert.Equal(run, (await engine.StatusAsync("sql")).Run.ToString());
        await database.ExecuteAsync("select actors.register_type('Other')");
        var error = await Assert.ThrowsAsync<Npgsql.PostgresException>(
            () => database.ExecuteAsync("select actors.start_workflow('default', 'sql', 'Other', '1')"));
        Assert.Equal("AC002", error.SqlState);
    }

    [Fact]
    public async Task Messages_of_a_topic_are_received_once_each_before_and_after_they_were_asked_for()
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("hold", _ => gate.PassAsync());
            var (a, b) = (w.Receive<string>("letters"), w.Receive<string>("letters")); // Sent already.
            var (c, d) = (w.Receive<string>("letters"), w.Receive<int>("numbers")); // Not yet.
            return $"{await a}{await b}{await c}{await d}";
        });
        await engine.StartAsync("topics");
        await engine.SendAsync("topics", "letters", "a");
        await engine.SendAsync("topics", "letters", "b", "m");
        await engine.SendAsync("topics", "letters", "b", "m");
        await gate.Reached;
        gate.Open();
        await engine.RestAsync("topics");
        await engine.SendAsync("topics", "numbers", 7);
        await engine.SendAsync("topics", "letters", "c");
        Assert.Equal("abc7", await engine.ResultAsync<string>("topics"));
    }

    [Fact]
    public async Task WaitUntil_is_true_for_a_condition_that_came_to_hold_and_false_after_its_time()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var already = await w.WaitUntil(() => true, TimeSpan.FromHours(1));
            var late = await w.WaitUntil(() => false, TimeSpan.FromMilliseconds(1));
            var heard = await w.WaitUntil(() => w.Heard.Count >= 1, TimeSpan.FromHours(1));
            await w.WaitUntil(() => w.Heard.Count == 2);
            return $"{already} {late} {heard}";
        });
        await engine.StartAsync("waits");
        await engine.PokeAsync("waits", "1");
        await engine.PokeAsync("waits", "2");
        Assert.Equal("True False True", await engine.ResultAsync<string>("waits"));
        Assert.Equal(0, await database.CountAsync("timers", "waits"));
    }

    [Fact]
    public async Task A_condition_that_throws_throws_where_it_is_awaited()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var wait = w.WaitUntil(() => w.Heard.Count == 0 ? false : throw new FormatException("condition"));
            try
            {
                await wait;
                return "held";
            }
            catch (FormatException error)
            {
                return error.Message;
            }
        });
        await engine.StartAsync("condition");
        await engine.PokeAsync("condition", "now");
        Assert.Equal("condition", await engine.ResultAsync<string>("condition"));
    }

    private Task SendAsync(string id, string messageId, string text) =>
        database.ExecuteAsync($"select actors.send('default', '{id}', '{messageId}', 'Poke', '[\"{text}\"]')");
}
