using Actors.Storage;
using Npgsql;

namespace Actors.Support;

/// <summary>The schema that test databases start with.</summary>
internal static class TestSchema
{
    /// <summary>Changes whenever <see cref="MigrateAsync"/> would make another schema.</summary>
    internal static string Fingerprint => Migrator.Fingerprint;

    internal static Task MigrateAsync(NpgsqlDataSource source, CancellationToken cancellation) =>
        Migrator.MigrateAsync(source, cancellation);
}
