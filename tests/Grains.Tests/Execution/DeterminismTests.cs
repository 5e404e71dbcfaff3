using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Actors.Programs;
using Actors.Support;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>What code may decide by is the same live and in replay.</summary>
public sealed class DeterminismTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task Now_NewGuid_and_Random_are_the_same_in_replay()
    {
        await using var engine = await database.ScriptAsync(Look);
        var live = await engine.RunAsync("same");
        Assert.Equal(live, await engine.AskAsync("same"));
        Assert.Equal(9, live.Split(',').Distinct().Count());
    }

    [Fact]
    public async Task Another_run_has_other_random_numbers()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult($"{w.NewGuid()} {w.Random.Next()}"));
        Assert.NotEqual(await engine.RunAsync("one"), await engine.RunAsync("two"));
    }

    [Fact]
    public void Random_is_the_documented_algorithm_on_every_runtime()
    {
        var random = new WorkflowRandom(new Guid("01234567-89ab-cdef-0123-456789abcdef"), () => { });
        Assert.Equal((1365332495, 41, 6518853892175854659L, 0), (random.Next(), random.Next(100), random.NextInt64(), random.Next(-5, 5)));
        Assert.Equal((0.13322302327268176, 0.939784049987793f), (random.NextDouble(), random.NextSingle()));
        var bytes = new byte[10];
        random.NextBytes(bytes);
        Assert.Equal("156F441AD3A54DACF90B", Convert.ToHexString(bytes));
        Assert.Equal((0, 7), (random.Next(0), random.Next(7, 7)));
        Assert.All(Enumerable.Range(0, 1_000), _ =>
            Assert.InRange(random.Next(int.MinValue, int.MaxValue), int.MinValue, int.MaxValue - 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => random.Next(2, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => random.Next(-1));
    }

    [Fact]
    public async Task A_number_drawn_from_Random_outside_of_a_turn_is_refused()
    {
        await using var engine = await database.ScriptAsync(new Script(async w =>
        {
            var random = w.Random;
            w.Heard.Add($"{random.Next(1)}");
            await w.Step("draws", _ => Task.FromResult(random.Next()), Retry.None);
            return "";
        })
        {
            OnLook = w => $"{w.Random.Next()}",
        });
        await engine.StartAsync("draws");
        var error = await Assert.ThrowsAsync<WorkflowSetAsideException>(() => engine.ResultAsync<string>("draws"));
        Assert.Contains("A number of Random was given from outside", error.Message, StringComparison.Ordinal);

        await using var asked = await database.ScriptAsync(new Script(async w =>
        {
            var random = w.Random;
            w.Heard.Add("waits");
            await w.WaitUntil(() => random is null);
            return "";
        })
        {
            OnLook = w => $"{w.Random.Next()}",
        });
        await asked.StartAsync("asked");
        await Assert.ThrowsAsync<QueryFailedException>(() => asked.AskAsync("asked"));
    }

    [Fact]
    public async Task A_turn_runs_under_the_invariant_culture_whatever_the_process_has()
    {
        var (german, before) = ((CultureInfo)CultureInfo.InvariantCulture.Clone(), CultureInfo.DefaultThreadCurrentCulture);
        german.NumberFormat.NumberDecimalSeparator = ","; // Named cultures are not installed everywhere.
        CultureInfo.DefaultThreadCurrentCulture = german;
        try
        {
            var step = "";
            await using var engine = await database.ScriptAsync(new Script(async w =>
            {
                w.Heard.Add($"{2.5m}");
                step = await w.Step($"price {1.5m}", () => $"{1.5m}");
                await w.WaitUntil(() => $"{0.5}" == "0.5" && w.Heard.Count > 1);
                return string.Join(" ", w.Heard);
            })
            {
                OnPoke = (w, text) => { w.Heard.Add($"{3.5m}"); return Task.CompletedTask; },
                OnLook = _ => $"{4.5m}",
            });
            await engine.StartAsync("price");
            Assert.Equal("4.5", await engine.AskAsync("price"));
            await engine.PokeAsync("price", "now");
            Assert.Equal("2.5 3.5", await engine.ResultAsync<string>("price"));
            Assert.Equal("1,5", step); // A body has what the process has.
            Assert.Contains(await database.JournalAsync("price"), row => row.Contains("price 1.5", StringComparison.Ordinal));
        }
        finally
        {
            CultureInfo.DefaultThreadCurrentCulture = before;
        }
    }

    [Fact]
    public async Task What_loggers_and_converters_await_is_not_taken_for_the_code_s_own()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                Say(w, "logged");
                await w.Step<Awaiting>("awaits", _ => Task.FromResult(new Awaiting(1)));
                w.Publish("topic", "", new Awaiting(2));
                await w.Sleep(TimeSpan.FromMilliseconds(200)); // By then all that was awaited has come back.
                Say(w, "logged again");
                return "done";
            },
            logging: log => log.AddProvider(new AwaitingLogger()));
        Assert.Equal("done", await engine.RunAsync("awaits"));
    }

    [Fact]
    public async Task Now_never_goes_back_even_when_the_clock_of_the_database_does()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            var times = new List<DateTimeOffset> { w.Now };
            for (var i = 0; i < 5; i++)
            {
                await w.Step("step", async _ => await clock.MoveAsync(TimeSpan.FromMinutes(-i)));
                times.Add(w.Now);
            }

            return times.SequenceEqual(times.Order()).ToString();
        });
        Assert.Equal("True", await engine.RunAsync("back"));
    }

    [Fact]
    public async Task Now_is_the_databases_time_of_the_last_delivered_commit()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("later", async _ => await clock.MoveAsync(TimeSpan.FromDays(400)));
            return w.Now.ToString("O");
        });
        var now = await engine.RunAsync("at");
        Assert.Equal(
            (await database.ScalarAsync<DateTime>(
                "select at from actors.journal j join actors.runs w using (instance) where w.id = 'at' and j.position = "
                + "1")).ToUniversalTime(),
            DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture).UtcDateTime);
        await clock.MoveAsync(TimeSpan.FromDays(-400));
    }

    [Fact]
    public async Task The_logger_writes_live_and_is_silent_in_replay()
    {
        var (lines, gate) = (new LogLines(), new Gate());
        async Task<string> Code(Scripted w, Func<Task> hold)
        {
            Say(w, "begins");
            await w.Step("s", () => 0);
            Say(w, "has stepped");
            await w.Step("hold", _ => hold());
            Say(w, "ends");
            return "";
        }

        await using var first = await database.ScriptAsync(w => Code(w, gate.PassAsync), logging: log => log.AddProvider(lines));
        await using var second = await database.ScriptAsync(w => Code(w, () => Task.CompletedTask), logging: log => log.AddProvider(lines));
        await first.StartAsync("log");
        await gate.Reached;
        await first.DieAsync();
        await second.RunAsync("log");
        await second.AskAsync("log");
        Assert.Equal(["begins", "has stepped", "ends"], lines.Of("Actors.Workflow.Scripted"));
        gate.Open();
    }

    private static void Say(Scripted w, string text) => w.Logger.Log(LogLevel.Information, default, text, null, (state, _) => state);

    private static async Task<string> Look(Scripted w)
    {
        for (var i = 0; i < 3; i++)
        {
            w.Heard.Add($"{w.Now:O}");
            w.Heard.Add($"{w.NewGuid()}");
            w.Heard.Add($"{w.Random.Next()}");
            await w.Step("step", () => 0);
        }

        return string.Join(",", w.Heard);
    }
}

/// <summary>Is written and read by a converter that begins something and waits for none of it, as those of some libraries do.</summary>
[JsonConverter(typeof(Converter))]
internal sealed record Awaiting(int Value)
{
    internal static async Task LaterAsync() => await Task.Delay(20);

    internal sealed class Converter : JsonConverter<Awaiting>
    {
        public override Awaiting Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            _ = LaterAsync();
            return new Awaiting(reader.GetInt32());
        }

        public override void Write(Utf8JsonWriter writer, Awaiting value, JsonSerializerOptions options)
        {
            _ = LaterAsync();
            writer.WriteNumberValue(value.Value);
        }
    }
}

/// <summary>Flushes when it has nothing better to do.</summary>
internal sealed class AwaitingLogger : ILoggerProvider, ILogger
{
    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _ = Awaiting.LaterAsync();

    public void Dispose()
    {
    }
}

/// <summary>Keeps what is logged.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<(string Category, string Text)> _lines = new();

    public IEnumerable<string> Of(string category) => _lines.Where(line => line.Category == category).Select(line => line.Text);

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
    }

    private sealed class Logger(LogLines lines, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines._lines.Enqueue((category, formatter(state, exception)));
    }
}
