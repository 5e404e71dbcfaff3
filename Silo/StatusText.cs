using Microsoft.AspNetCore.Http;
using Npgsql;

namespace Actors.Silo;

/// <summary><c>/</c>: a few counts as text, read when asked, on a connection of its own.</summary>
internal sealed class StatusText(string connectionString, SiloInfo silo) : IAsyncDisposable
{
    private static readonly string Sql = Read();

    private readonly NpgsqlDataSource _database = NpgsqlDataSource.Create(
        new NpgsqlConnectionStringBuilder(connectionString) { Enlist = false, MaxPoolSize = 1, MinPoolSize = 0 });

    public async Task<IResult> ReadAsync(CancellationToken cancellation)
    {
        try
        {
            return Results.Text(await TextAsync(cancellation));
        }
        catch (NpgsqlException error)
        {
            return Results.Text($"Postgres cannot be asked now: {error.Message}\n", statusCode: StatusCodes.Status503ServiceUnavailable);
        }
    }

    private async Task<string> TextAsync(CancellationToken cancellation)
    {
        await using var command = _database.CreateCommand(Sql);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return $"""
            Actors, silo {silo.Name}

            silos alive          {reader.GetInt64(0)}
            workflows            {(reader.IsDBNull(2) ? "not counted yet" : $"about {reader.GetInt64(2)}")}
            in memory            {reader.GetInt64(1)}
            timers set           {reader.GetInt64(3)}
            signals not read     {reader.GetInt64(4)}
            messages waiting     {reader.GetInt64(5)}
            dead letters         {reader.GetInt64(6)}
            set aside            {reader.GetInt64(7)}
            left to later builds {reader.GetInt64(8)}

            """;
    }

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    private static string Read()
    {
        using var reader = new StreamReader(typeof(StatusText).Assembly.GetManifestResourceStream("status.sql")!);
        return reader.ReadToEnd();
    }
}
