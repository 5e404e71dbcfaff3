using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>C# and SQL agree on what an id is and which partition it has.</summary>
[EachPostgres]
public sealed class IdentityTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task The_partition_of_any_id_is_the_same_in_code_and_in_SQL()
    {
        var random = new Random(20);
        var ids = Enumerable.Range(0, 5_000).Select(i => new WorkflowId(Text(random, i, 40), i % 3 == 0 ? "default" : Text(random, i, 20))).ToList();
        await using var command = database.DataSource.CreateCommand(
            "select actors.partition_of(k.namespace, k.id) from unnest($1::text[], $2::text[]) with ordinality k (namespace, id, place) order by place");
        command.Parameters.Add(new NpgsqlParameter { Value = ids.Select(id => id.Namespace).ToArray() });
        command.Parameters.Add(new NpgsqlParameter { Value = ids.Select(id => id.Id).ToArray() });
        var partitions = new List<short>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            partitions.Add(reader.GetInt16(0));
        }

        Assert.Equal(ids.Select(Partition.Of), partitions);
        Assert.True(partitions.Distinct().Count() > 900);
    }

    [Fact]
    public void The_partition_of_an_id_never_changes() =>
        Assert.Equal([696, 639, 814], new[] { new WorkflowId("order-42"), new WorkflowId("é中𝄞", "ns"), new WorkflowId("w") }.Select(id => (int)Partition.Of(id)));

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
    [InlineData("half \ud83d", "default")]
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
        "200 bytes" or "100 bytes" => new string('x', int.Parse(text[..3])),
        "201 bytes" or "101 bytes" => new string('x', int.Parse(text[..3])),
        "100 of two bytes" => new string('é', 100),
        "101 of two bytes" => new string('é', 101),
        _ => text,
    };

    private static string Text(Random random, int i, int lengthMax)
    {
        string[] alphabet = ["a", "Z", "0", "-", " ", "é", "ß", "中", "𝄞", "\u00a0", "\u2028", "ı", "İ", "\u0301"];
        return string.Concat(Enumerable.Range(0, random.Next(1, lengthMax)).Select(_ => alphabet[random.Next(i % 2 == 0 ? 5 : alphabet.Length)]));
    }
}
