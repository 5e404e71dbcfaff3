using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>C# and SQL agree on what an id is and which partition a run has.</summary>
[EachPostgres]
public sealed class IdentityTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task A_partition_is_the_same_in_code_and_in_SQL()
    {
        var random = new Random(20);
        var numbers = Enumerable.Range(0, 5_000).Select(_ => random.NextInt64(long.MinValue, long.MaxValue)).Append(0).Append(-1).ToArray();
        await using var command = database.DataSource.CreateCommand(
            "select array_agg(actors.partition_of(n) order by place) from unnest($1) with ordinality k (n, place)");
        command.Parameters.Add(new NpgsqlParameter { Value = numbers });
        Assert.Equal(numbers.Select(Partition.Of), (short[])(await command.ExecuteScalarAsync())!);
    }

    [Theory]
    [InlineData("a", "default")]
    [InlineData("", "default")]
    [InlineData("a", "")]
    [InlineData("a/b c", "default")]
    [InlineData("a", "b/c")]
    [InlineData("tab\there", "default")]
    [InlineData("zero\0", "default")]
    [InlineData("delete\u007f", "default")]
    [InlineData("next line\u0085", "default")]
    [InlineData("last control\u009f", "default")]
    [InlineData("no-break space\u00a0", "default")]
    [InlineData("line separator\u2028", "default")]
    [InlineData("a", "control\u0001")]
    [InlineData("half", "default")]
    [InlineData("whole \ud83d\ude00", "n\u00e9")]
    [InlineData("200 bytes", "default")]
    [InlineData("201 bytes", "default")]
    [InlineData("100 of two bytes", "default")]
    [InlineData("101 of two bytes", "default")]
    [InlineData("a", "100 bytes")]
    [InlineData("a", "101 bytes")]
    public async Task An_id_is_valid_in_code_and_in_SQL_or_in_neither(string id, string space)
    {
        (id, space) = (Expand(id), Expand(space));
        Assert.Equal(IsValid(id, space), await StartsAsync(id, space));
    }

    private static bool IsValid(string id, string space)
    {
        try
        {
            _ = new WorkflowId(id, space);
            return true;
        }
        catch (InvalidWorkflowIdException)
        {
            return false;
        }
    }

    private async Task<bool> StartsAsync(string id, string space)
    {
        await Store.ExecuteAsync(database.DataSource, "select actors.register_type('T')");
        await using var command = database.DataSource.CreateCommand("select actors.start_workflow($1, $2, 'T', '1')");
        command.Parameters.Add(new NpgsqlParameter { Value = space });
        command.Parameters.Add(new NpgsqlParameter { Value = id });
        try
        {
            await command.ExecuteNonQueryAsync();
            return true;
        }
        catch (PostgresException error) when (error.SqlState is "AC003" or PostgresErrorCodes.CharacterNotInRepertoire)
        {
            return false;
        }
        catch (Exception error) when (error is ArgumentException || error.InnerException is ArgumentException)
        {
            return false; // Npgsql sends no half of a pair.
        }
    }

    private static string Expand(string text) => text switch
    {
        "half" => "half \ud83d", // An attribute is stored as UTF-8, and would hold U+FFFD.
        "200 bytes" or "100 bytes" => new string('x', int.Parse(text[..3])),
        "201 bytes" or "101 bytes" => new string('x', int.Parse(text[..3])),
        "100 of two bytes" => new string('é', 100),
        "101 of two bytes" => new string('é', 101),
        _ => text,
    };
}
