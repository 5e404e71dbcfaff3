using Npgsql;

namespace Actors.Storage;

/// <summary>What every silo of a database must agree on, as its migrations wrote it.</summary>
internal static class Settings
{
    private static readonly string ReadSettings = SqlText.Get("read_settings");

    private static readonly Dictionary<string, string> Ours = new(StringComparer.Ordinal)
    {
        ["ranges"] = Partition.RangeCount.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["instances"] = "1",
        ["partitions"] = "1",
        ["lanes"] = "1",
    };

    /// <exception cref="SchemaSettingException">This build's value of one is another; nothing was written.</exception>
    public static async Task CompareAsync(EngineDatabase database, CancellationToken cancellation)
    {
        var stored = await database.QueryAsync(database.Engine, "read settings", batch => batch.Add(ReadSettings), async reader =>
        {
            var settings = new Dictionary<string, string>(StringComparer.Ordinal);
            while (await reader.ReadAsync(cancellation))
            {
                settings[reader.GetString(0)] = reader.GetString(1);
            }

            return settings;
        }, cancellation);
        foreach (var name in stored.Keys.Union(Ours.Keys))
        {
            if (stored.GetValueOrDefault(name) is var theirs && Ours.GetValueOrDefault(name) is var ours && theirs != ours)
            {
                throw new SchemaSettingException(name, theirs ?? "missing", ours ?? "unknown to it");
            }
        }
    }
}
