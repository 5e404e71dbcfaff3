using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Actors.Cluster;
using Actors.Grains.Tests.Golden;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Serialization;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>
/// Silos and clients of different versions understand each other: the wire is what was reviewed, and what earlier versions wrote is read.
/// A line of <c>wire-bytes.txt</c> is a record's alias, its bytes and what they hold. A changed record adds a line; the earlier ones stay,
/// and are still read.
/// </summary>
public sealed class WireGoldenTests : IDisposable
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        IgnoreReadOnlyProperties = true,
    };

    private readonly ServiceProvider _services = new ServiceCollection().AddSerializer(
        builder => builder.AddAssembly(typeof(WorkflowCall).Assembly).AddAssembly(typeof(WorkflowGrain).Assembly)).BuildServiceProvider();

    private Serializer Serializer => _services.GetRequiredService<Serializer>();

    public void Dispose() => _services.Dispose();

    [Fact]
    public Task The_wire_is_the_one_that_was_reviewed() =>
        GoldenFile.CheckAsync("wire.txt", string.Concat(WireContract.Lines().Select(line => line + "\n")));

    [Fact]
    public async Task What_earlier_versions_wrote_is_read()
    {
        var stored = (await GoldenFile.ReadAsync("wire-bytes.txt")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.All(stored, line =>
        {
            var parts = line.Split(' ', 3);
            var read = Serializer.Deserialize<object>(Convert.FromBase64String(parts[1]))!;
            Assert.Equal(parts[0], WireContract.Name(read.GetType()));
            Assert.True(Holds(Json(read), JsonNode.Parse(parts[2])),
                $"What an earlier version wrote is read as {Json(read)}: a member keeps its id, name and type, and a new one "
                + "gets a new id. Bytes that no release ever wrote may be deleted from wire-bytes.txt.");
        });
        var written = WireContract.Records.Where(record => !record.IsAbstract).Select(WireSamples.Of).Select(Line);
        await GoldenFile.CheckAsync(
            "wire-bytes.txt", string.Concat(stored.Union(written).Order(StringComparer.Ordinal).Select(line => line + "\n")));
    }

    private string Line(object record) =>
        $"{WireContract.Name(record.GetType())} {Convert.ToBase64String(Serializer.SerializeToArray(record))} "
        + Json(record).ToJsonString(Readable);

    private static JsonNode Json(object record) => JsonSerializer.SerializeToNode(record, record.GetType(), Readable)!;

    /// <summary>Whether everything that was there then is there now; more may be.</summary>
    private static bool Holds(JsonNode? now, JsonNode? then) => (now, then) switch
    {
        (JsonObject n, JsonObject t) => t.All(member => n.ContainsKey(member.Key) && Holds(n[member.Key], member.Value)),
        (JsonArray n, JsonArray t) => n.Count == t.Count && n.Zip(t).All(pair => Holds(pair.First, pair.Second)),
        _ => JsonNode.DeepEquals(now, then),
    };
}
