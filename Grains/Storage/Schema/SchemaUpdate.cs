using Npgsql;

namespace Actors.Storage;

/// <summary>The engine's migrations, and after them the tables of whoever wrote the workflows.</summary>
internal sealed class SchemaUpdate(IReadOnlyList<Func<NpgsqlDataSource, CancellationToken, Task>> own)
{
    public async Task RunAsync(EngineDatabase database, CancellationToken cancellation)
    {
        await Migrator.MigrateAsync(database.Users, database.Probe, cancellation);
        foreach (var migrate in own)
        {
            await migrate(database.Users, cancellation);
        }
    }
}
