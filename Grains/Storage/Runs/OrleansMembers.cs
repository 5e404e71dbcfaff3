using Npgsql;

namespace Actors.Storage;

/// <summary>Orleans' table of silos, for one that starts: what each statement guarantees stands in its file.</summary>
internal sealed class OrleansMembers(EngineDatabase database)
{
    private static readonly string ReadMembers = SqlText.Get("read_members");
    private static readonly string RetireSilo = SqlText.Get("retire_silo");

    /// <summary>All of them, the dead too.</summary>
    public async Task<List<OrleansMember>> ReadAsync(string clusterId) => await database.QueryAsync(
        database.Engine,
        "read members",
        batch => batch.Add(ReadMembers, Text(clusterId)),
        async reader =>
        {
            var members = new List<OrleansMember>();
            while (await reader.ReadAsync())
            {
                members.Add(new OrleansMember(
                    reader.GetString(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(4), reader.GetString(6)));
            }

            return members;
        });

    /// <summary>One that is known not to run is dead from now on.</summary>
    public async Task RetireAsync(string clusterId, string address, int port, int generation) => await database.QueryAsync(
        database.Engine,
        "retire silo",
        batch => batch.Add(
            RetireSilo, Text(clusterId), Text(address), new NpgsqlParameter<int> { TypedValue = port },
            new NpgsqlParameter<int> { TypedValue = generation }),
        reader => reader.ReadAsync());

    private static NpgsqlParameter<string> Text(string value) => new() { TypedValue = value };
}

/// <param name="Status">Orleans' SiloStatus.</param>
internal sealed record OrleansMember(string Address, int Port, int Generation, int Status, string Host);
