using Actors.Storage;
using Actors.Support;
using Npgsql;
using NpgsqlTypes;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>
/// The functions that anybody calls from SQL: what they accept happens to exactly the workflow that was named, byte for byte; the rest is
/// refused with AC003 and writes nothing. Random names, most of them hostile; the seed is printed.
/// </summary>
[EachPostgres]
public sealed class SqlDoorTests(TestDatabase database, ITestOutputHelper output) : IClassFixture<TestDatabase>
{
    private const string Refused = "AC003";

    // What a name may be, however it looks; pairs that Unicode calls equal stand side by side.
    private static readonly string?[] Good =
    [
        "a", "'; drop table actors.runs; --", "\"quoted\"", "$1", "$$", "%s {0} \\", "\\u0000", "null", "é", "e\u0301", "Å", "\u212b",
        "A\u030a", "ﬁ", "fi",
        "ß", "SS", "İ", "i\u0307", " ", "a ", "a\u00a0", "\u200b", "\u2028", "\ufeff", "\ufffd", "\ud83d\ude00", new string('x', 100),
        new string('é', 50),
    ];

    private static readonly string?[] Bad =
        [null, "", "\0", "tab\t", "line\n", "\u0001", "\u007f", "\u0085", "\u009f", "half \ud83d", new string('x', 201),
            new string('中', 201), new string('x', 1 << 20)];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_SQL_asks_for_happens_to_exactly_that_workflow_or_is_refused_and_writes_nothing()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        var registered = new HashSet<string>(StringComparer.Ordinal);
        var types = new Dictionary<(string Space, string Id), string>();
        var mail = new HashSet<(string Space, string Id, string Message)>();
        for (var i = 0; i < 1_500; i++)
        {
            var (space, id, type, message, name) = (Name(random), Name(random), Name(random, among: 4), Name(random), Name(random));
            string?[] names = random.Next(3) > 0 ? [space, id, type] : [space, id, message, name];
            var isStart = names.Length == 3;
            var refused = names.Any(Bad.Contains) || space!.Contains('/', StringComparison.Ordinal);
            if (isStart && !refused && random.Next(4) > 0)
            {
                Assert.Equal((type, null), (type, (await CallAsync("select code from actors.register_type($1)", [type])).Code));
                registered.Add(type!);
            }

            var (value, code) = await CallAsync(isStart ? (random.Next(2) == 0 ? Start : StartMany) : Send, names);
            if (refused)
            {
                Assert.Equal(Refused, code);
            }
            else if (isStart && !registered.Contains(type!))
            {
                Assert.Equal("AC006", code);
            }
            else if (isStart)
            {
                var known = types.TryAdd((space!, id!), type!) ? type : types[(space!, id!)];
                Assert.Equal(known == type ? null : "AC002", code);
            }
            else
            {
                Assert.Null(code);
                Assert.Equal(types.ContainsKey((space!, id!)), value);
                if (value is true)
                {
                    mail.Add((space!, id!, message!));
                }
            }
        }

        Assert.Equal(types.Select(run => $"{run.Key} {run.Value}").Order(StringComparer.Ordinal), await ReadAsync(
            "select w.namespace, w.id, c.type from actors.runs w join actors.codes c using (code) join actors.journal j using "
                + "(instance) where j.position = 0 and w.namespace not in ('few', 'default')", row => $"{(row[0], row[1])} {row[2]}"));
        Assert.Equal(mail.Select(letter => $"{letter}").Order(StringComparer.Ordinal), await ReadAsync(
            "select w.namespace, w.id, i.message_id from actors.inbox i join actors.runs w using (workflow)", row =>
                $"{(row[0], row[1], row[2])}"));
        Assert.True(types.Count > 100 && mail.Count > 20, $"{types.Count} runs and {mail.Count} letters are no test.");
    }

    [Theory]
    [InlineData("null, array['1']::json[]")]
    [InlineData("array['a'], null")]
    [InlineData("array['a'], null, array[]::bytea[]")]
    [InlineData("array['a', null], array['1', '2']::json[]")]
    [InlineData("array['a', 'b'], array['1']::json[]")]
    [InlineData("array['a'], array['1']::json[], null, array[]::uuid[]")]
    public async Task Arrays_that_do_not_belong_together_start_nothing(string arrays)
    {
        await using var command = database.DataSource.CreateCommand($"select actors.start_workflows('arrays', 'T', {arrays})");
        Assert.Equal(Refused, (await Assert.ThrowsAsync<PostgresException>(() => command.ExecuteScalarAsync(Cancel))).SqlState);
        Assert.Empty(await ReadAsync("select namespace from actors.runs where namespace = 'arrays'", row => row[0]));
    }

    /// <summary>As OPERATIONS says it.</summary>
    [Fact]
    public async Task A_role_that_may_only_look_reads_the_views_and_nothing_else()
    {
        var role = $"reader_{Guid.NewGuid():N}";
        await Store.ExecuteAsync(database.DataSource, $"""
            create role {role} nologin;
            grant usage on schema actors to {role};
            grant select on actors.runs_view, actors.waits_view, actors.inbox_view, actors.outbox_view, actors.silos_view to {role};
            """);
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var become = new NpgsqlCommand($"set role {role}", connection);
        await become.ExecuteNonQueryAsync(Cancel);
        foreach (var name in new[] { "runs", "waits", "inbox", "outbox", "silos" })
        {
            await using var view = new NpgsqlCommand($"select * from actors.{name}_view limit 1", connection);
            await view.ExecuteNonQueryAsync(Cancel);
            await using var table = new NpgsqlCommand($"select * from actors.{name} limit 1", connection);
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege,
                (await Assert.ThrowsAsync<PostgresException>(() => table.ExecuteNonQueryAsync(Cancel))).SqlState);
        }

        await using var leave = new NpgsqlCommand($"reset role; drop owned by {role}; drop role {role}", connection);
        await leave.ExecuteNonQueryAsync(Cancel);
    }

    [Fact]
    public async Task No_ids_start_no_workflow_and_payloads_may_all_be_encoded()
    {
        await Store.ExecuteAsync(database.DataSource, "select actors.register_type('T')");
        Assert.Equal(0, await Store.ScalarAsync<long>(
            database.DataSource, "select made from actors.start_workflows('few', 'T', array[]::text[], array[]::json[])"));
        Assert.Equal(1, await Store.ScalarAsync<long>(
            database.DataSource, "select made from actors.start_workflows('few', 'T', array['a'], null, array['\\x01'::bytea])"));
        Assert.Equal(["\\x01"],
            await ReadAsync("select j.bytes::text from actors.journal j join actors.runs w using (instance) where w.namespace = 'few'",
            row => row[0]));
    }

    [Fact]
    public async Task An_id_that_looks_like_another_is_another_workflow_in_memory_too()
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Execution.Bulk>());
        var ids = Good.Select((id, number) => (Id: id!, Number: number)).ToList();
        await Task.WhenAll(ids.Select(run => engine.StartWorkflowAsync(run.Id, "Bulk", run.Number)));
        foreach (var (id, number) in ids)
        {
            Assert.Equal(2 * number, await engine.ResultAsync<int>(id));
        }
    }

    private const string Start = "select run is not null from actors.start_workflow($1, $2, $3, '1')";
    private const string StartMany = "select made >= 0 from actors.start_workflows($1, $3, array[$2], array['1']::json[])";
    private const string Send = "select accepted from actors.send($1, $2, $3, $4, '1')";

    /// <summary>What it returned, or the SQLSTATE of its refusal. What Npgsql or the server cannot take as text never gets to the
    /// function.</summary>
    private async Task<(object? Value, string? Code)> CallAsync(string sql, string?[] names)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        foreach (var name in names)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = (object?)name ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        }

        try
        {
            return (await command.ExecuteScalarAsync(Cancel), null);
        }
        catch (PostgresException error)
        {
            return (null, error.SqlState == PostgresErrorCodes.CharacterNotInRepertoire ? Refused : error.SqlState);
        }
        catch (Exception error) when (PostgresFaults.IsUnsendable(error) || error.InnerException is ArgumentException)
        {
            return (null, Refused);
        }
    }

    private async Task<List<string>> ReadAsync(string sql, Func<List<string>, string> line)
    {
        var lines = new List<string>();
        await using var command = database.DataSource.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        while (await reader.ReadAsync(Cancel))
        {
            lines.Add(line([.. Enumerable.Range(0, reader.FieldCount).Select(reader.GetString)]));
        }

        return [.. lines.Order(StringComparer.Ordinal)];
    }

    /// <summary>One that is refused, one that is there already, or one that is made of several.</summary>
    private static string? Name(Random random, int among = 12) => random.Next(12) switch
    {
        0 => Bad[random.Next(Bad.Length)],
        < 8 => Good[random.Next(Math.Min(among, Good.Length))],
        _ => Good[random.Next(Good.Length - 2)] + Good[random.Next(Good.Length - 2)],
    };
}
