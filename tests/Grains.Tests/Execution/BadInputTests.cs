using System.Text;
using Actors.Support;
using Actors.Wire;
using Npgsql;
using NpgsqlTypes;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>
/// Bytes that nobody meant: from clients, in mail from SQL, in a stored history. Each is taken, refused with a typed error or set aside;
/// the engine lives on, and a run never fails for what somebody else sent to it. Random; the seed is printed.
/// </summary>
public sealed class BadInputTests(TestDatabase database, ITestOutputHelper output) : IClassFixture<TestDatabase>
{
    private static readonly string[] Whole =
    [
        "null", "1", "\"\"", "[]", "{}", "[null]", "[1]", "[\"a\"]", "[\"a\", \"b\"]", "[[\"a\"]]", "[{\"a\": 1, \"a\": 2}]", "[1e999]",
        "[\"\\ud800\"]", "[\"\\\\u0000\"]", "[true] ",
        new string('[', 63) + new string(']', 63), new string('[', 65) + new string(']', 65), new string('[', 100_000),
        "[\"" + new string('x', 100_000) + "\"]",
    ];

    private static readonly byte[][] Broken =
        [[], [0], "\ufeff[\"a\"]"u8.ToArray(), "[\"\\u0000\"]"u8.ToArray(), [(byte)'[', (byte)'"', 0xff, (byte)'"', (byte)']'],
            [(byte)'"', 0xc0, 0x80, (byte)'"'], "{"u8.ToArray(), "[\"a\",]"u8.ToArray()];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whatever_bytes_a_client_sends_are_taken_or_refused_with_a_typed_error()
    {
        var random = Seeded();
        await using var engine = await database.ScriptAsync(UntilEnough);
        await engine.StartAsync("target");
        var (taken, refused) = (0, 0);
        for (var i = 0; i < 1_500; i++)
        {
            var (payload, id) = (Any(random), new WorkflowId($"bytes-{i}"));
            Func<Task> call = random.Next(4) switch
            {
                0 => () => engine.Engine.SignalAsync(new WorkflowId("target"), new SignalCall("Poke", false, payload, $"m{i}")),
                1 => () => engine.Engine.SignalAsync(new WorkflowId("target"), new SignalCall("unread", true, payload, $"m{i}")),
                2 => () => engine.Engine.QueryAsync(new WorkflowId("target"), new QueryCall("Look", payload)),
                _ => () => engine.Engine.StartAsync(id, new StartCall(Scripted.Name, payload, StartPolicy.Attach, null)),
            };
            try
            {
                await call().WaitAsync(TimeSpan.FromSeconds(20), Cancel);
                taken++;
            }
            catch (ActorsException error) when (!error.IsTransient)
            {
                refused++;
            }
        }

        output.WriteLine($"{taken} taken, {refused} refused");
        Assert.True(taken > 100 && refused > 100);
        await engine.PokeAsync("target", "enough");
        Assert.Equal("enough", await engine.ResultAsync<string>("target"));
    }

    [Fact]
    public async Task Whatever_mail_SQL_sends_is_delivered_or_kept_as_undelivered()
    {
        var random = Seeded();
        await using var engine = await database.ScriptAsync(UntilEnough);
        await engine.StartAsync("mailed");
        var sent = 0;
        for (var i = 0; i < 400; i++)
        {
            sent += await SendAsync("mailed", $"m{i}", random.Next(2) == 0 ? "Poke" : "unread", random.Next(8) == 0 ? null : Any(random))
                ? 1 : 0;
        }

        Assert.True(await SendAsync("mailed", "last", "Poke", new Payload("[\"enough\"]"u8.ToArray())));
        await engine.WakeAsync("mailed");
        Assert.Equal("enough", await engine.ResultAsync<string>("mailed"));
        var journaled = await database.ScalarAsync<int>(
            "select count(*) from actors.journal j join actors.runs w using (instance) where w.id = 'mailed' and j.message_id is not "
            + "null");
        var undelivered = await database.CountAsync("inbox", "mailed");
        output.WriteLine($"{sent} sent: {journaled} delivered, {undelivered} kept");
        Assert.Equal(sent + 1, journaled + undelivered);
        Assert.True(sent > 100 && undelivered > 50);
    }

    [Fact]
    public async Task Whatever_a_stored_history_holds_the_run_goes_on_or_is_set_aside_with_a_reason()
    {
        var random = Seeded();
        await using var engine = await database.ScriptAsync(OfAllKindsAsync);
        for (var i = 0; i < 60; i++)
        {
            var id = $"history-{i}";
            await engine.StartAsync(id);
            await engine.PokeAsync(id, "first");
            await engine.SendAsync(id, "read", "message");
            await engine.RestAsync(id);
            var position = random.Next(8);
            await HarmAsync(id, position, Any(random));
            try
            {
                await engine.WakeAsync(id).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
                await engine.SendAsync(id, "read", "another").WaitAsync(TimeSpan.FromSeconds(20), Cancel); // The first may be refused now.
                await engine.PokeAsync(id, "enough").WaitAsync(TimeSpan.FromSeconds(20), Cancel);
                await engine.ResultAsync<string>(id, TimeSpan.FromSeconds(20));
            }
            catch (Exception error) when (error is WorkflowSetAsideException or WorkflowFailedException or WorkflowEndedException)
            {
            }

            catch (TimeoutException)
            {
                Assert.Fail($"Row {position} of '{id}' is met again and again: {string.Join('\n', await database.JournalAsync(id))}");
            }

            var status = await engine.StatusAsync(id);
            Assert.True((WorkflowStatus)status.Status != WorkflowStatus.Running,
                $"Row {position} of '{id}' left it running: {string.Join('\n', await database.JournalAsync(id))}");
            Assert.DoesNotContain("engine failed", status.Problem ?? "", StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_refusal_that_cannot_be_read_sets_the_run_aside_with_a_reason()
    {
        await using var engine = await database.ScriptAsync(async w => await w.Receive<string>("read"));
        await engine.StartAsync("harmed refusal");
        await engine.SendAsync("harmed refusal", "read", 1);
        await engine.RestAsync("harmed refusal");
        await database.ExecuteAsync(
            "update actors.journal j set payload = '\"?\"' from actors.runs w where w.instance = j.instance and w.id = 'harmed "
            + "refusal' and j.kind = 15");
        await engine.WakeAsync("harmed refusal");
        Assert.Contains("Refusal at position 2", await engine.SetAsideAsync("harmed refusal"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("fails")]
    public async Task Whatever_a_stored_outcome_holds_who_asks_is_told_with_a_typed_error(string input)
    {
        var random = Seeded();
        await using var engine = await database.ScriptAsync(
            w => w.Input == "" ? Task.FromResult("fine") : throw new InvalidOperationException("as it must"));
        var id = $"outcome-{input}";
        await engine.StartAsync(id, input);
        await engine.LeftAsync(id);
        for (var i = 0; i < 60; i++)
        {
            await HarmAsync(id, 1, Any(random));
            foreach (var ask in new Func<Task>[] { () => engine.ResultAsync<string>(id), () => engine.StatusAsync(id) })
            {
                try
                {
                    await ask();
                }
                catch (ActorsException error) when (!error.IsTransient)
                {
                }
            }
        }
    }

    private static async Task<string> UntilEnough(Scripted w)
    {
        await w.WaitUntil(() => w.Heard.Contains("enough"));
        return "enough";
    }

    private static async Task<string> OfAllKindsAsync(Scripted w)
    {
        var step = await w.Step("step", () => 1);
        await w.Transaction("transaction", _ => Task.FromResult(new[] { "a" }));
        try
        {
            await w.Step<int>("fails", () => throw new TimeoutException("as it must"), Retry.None);
        }
        catch (StepFailedException)
        {
            step++;
        }

        w.Publish("topic", "k", step);
        await w.Sleep(TimeSpan.FromMilliseconds(1));
        var read = await w.Receive<string>("read");
        await w.WaitUntil(() => w.Heard.Contains("enough"));
        return read;
    }

    private Random Seeded()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        return new Random(seed);
    }

    private static Payload Any(Random random)
    {
        var bytes = random.Next(4) switch
        {
            0 => Broken[random.Next(Broken.Length)],
            1 => Mutated(random, Encoding.UTF8.GetBytes(Whole[random.Next(Whole.Length)])),
            _ => Encoding.UTF8.GetBytes(Whole[random.Next(Whole.Length)]),
        };
        return random.Next(10) switch { 0 => default, 1 => new Payload(bytes, Encoded: true), _ => new Payload(bytes) };
    }

    private static byte[] Mutated(Random random, byte[] bytes)
    {
        bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        return bytes;
    }

    /// <summary>False where Postgres does not even take it as JSON.</summary>
    private async Task<bool> SendAsync(string id, string message, string name, Payload? payload)
    {
        await using var command = database.DataSource.CreateCommand("select accepted from actors.send('default', $1, $2, $3, $4::json, $5)");
        Array.ForEach([id, message, name], text => command.Parameters.Add(new NpgsqlParameter { Value = text }));
        Add(command, payload);
        return await TakesAsync(command);
    }

    private async Task HarmAsync(string id, int position, Payload payload)
    {
        await using var command = database.DataSource.CreateCommand(
            "update actors.journal set payload = $3::json, bytes = $4 where position = $2 and instance = (select instance from "
                + "actors.runs where id = $1)");
        command.Parameters.Add(new NpgsqlParameter { Value = id });
        command.Parameters.Add(new NpgsqlParameter { Value = position });
        Add(command, payload);
        await TakesAsync(command);
    }

    private static void Add(NpgsqlCommand command, Payload? payload)
    {
        var (json, bytes) = payload is { Encoded: true } encoded ? ((byte[]?)null, encoded.Data) : (payload?.Data, null);
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)json ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Json });
        command.Parameters.Add(new NpgsqlParameter { Value = (object?)bytes ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });
    }

    private static async Task<bool> TakesAsync(NpgsqlCommand command)
    {
        try
        {
            await command.ExecuteNonQueryAsync(Cancel);
            return true;
        }
        catch (PostgresException error) when (error.SqlState.StartsWith("22", StringComparison.Ordinal) || error.SqlState == "54001")
        {
            return false;
        }
    }
}
