using Actors.CrashScenarios;
using Actors.Storage;
using Npgsql;

// Run by the tests as processes that die: ACTORS_CRASH_AT tells at which round trip.
switch (args)
{
    case ["scenario", var name, var connectionString, var folder]:
        await Scene.PlayAsync(name, connectionString, folder, new Life());
        return 0;
    case ["migrate", var connectionString]:
        await using (var source = NpgsqlDataSource.Create(connectionString))
        {
            await Migrator.MigrateAsync(source, CancellationToken.None);
        }

        return 0;
    default:
        await Console.Error.WriteLineAsync("Usage: scenario NAME CONNECTION FOLDER | migrate CONNECTION");
        return 2;
}
