using Actors.Partitions;
using Actors.Storage;
using Npgsql;

namespace Actors.Silo;

/// <summary><c>/</c>: a few counts as text, read when asked.</summary>
internal static class StatusPage
{
    private static readonly string Sql = Read();

    internal static void Map(WebApplication app, NpgsqlDataSource database, string name) =>
        app.MapGet("/", (PartitionSet partitions, CancellationToken cancellation) => TextAsync(database, name, partitions, cancellation));

    private static async Task<string> TextAsync(
        NpgsqlDataSource database, string name, PartitionSet partitions, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(Sql);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return $"""
            Actors, silo {name}

            partitions here      {partitions.Partitions.Length} of {Partition.Count}
            silos alive          {reader.GetInt64(0)}
            workflows            about {reader.GetInt64(2)}
            in memory            {reader.GetInt64(1)}
            timers set           {reader.GetInt64(3)}
            signals not read     {reader.GetInt64(4)}
            messages waiting     {reader.GetInt64(5)}
            dead letters         {reader.GetInt64(6)}

            """;
    }

    private static string Read()
    {
        using var reader = new StreamReader(typeof(StatusPage).Assembly.GetManifestResourceStream("status.sql")!);
        return reader.ReadToEnd();
    }
}
