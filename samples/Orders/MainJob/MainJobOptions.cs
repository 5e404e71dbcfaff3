using Actors.Postgres;

namespace Actors.Orders.MainJob;

/// <summary>What the main job is asked to do.</summary>
/// <param name="Postgres">The database: its root folder also holds the job's own files.</param>
/// <param name="File">Orders, a line each.</param>
/// <param name="Crashes">Times that silos are killed.</param>
/// <param name="Seed">Of the crashes, of the carrier, and of the trouble that the two services make.</param>
/// <param name="Silos">1 to 9 silo processes.</param>
/// <param name="Serve">Stay up after the job.</param>
public sealed record MainJobOptions(PostgresSettings Postgres, string File, int Crashes, int Seed, int Silos, bool Serve)
{
    /// <summary>Holds run.json, the logs and the files of the two services.</summary>
    public string Folder => Path.Combine(Path.GetFullPath(Postgres.RootFolder), ".actors");
}
