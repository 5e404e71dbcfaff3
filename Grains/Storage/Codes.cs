using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>A workflow type of this silo: its stored name, the full names of its contract (today's first), and the shape of its methods.</summary>
internal sealed record DeclaredCode(string Type, IReadOnlyList<string> Contracts, string Shape);

/// <summary>
/// The numbers of this silo's workflow types, by which it claims runs. A stored name belongs to the contract that came under it first: a
/// silo with another contract of that name does not join, so that it never runs the other's workflows.
/// </summary>
internal sealed partial class Codes(EngineDatabase database, IReadOnlyList<DeclaredCode> declared, ILogger<Codes> log)
{
    private static readonly string RegisterCodes = SqlText.Get("register_codes");
    private static readonly string DescribeCodes = SqlText.Get("describe_codes");

    private volatile Dictionary<string, int> _numbers = [];

    /// <summary>Of all types; empty before <see cref="RegisterAsync"/>.</summary>
    public int[] All { get; private set; } = [];

    /// <exception cref="WorkflowUnavailableException">The silo has not joined yet.</exception>
    public int Of(string type) => _numbers.TryGetValue(type, out var code)
        ? code
        : throw new WorkflowUnavailableException("This silo has not joined yet: repeat the call with the same ids.");

    /// <summary>Learns the numbers, and makes those of names that the database meets for the first time.</summary>
    /// <exception cref="WorkflowNameTakenException">A name belongs to another contract.</exception>
    public async Task RegisterAsync()
    {
        var known = await ReadAsync();
        while (known.Count < declared.Count)
        {
            known = await ReadAsync(); // Another silo made one in this moment.
        }

        foreach (var type in declared)
        {
            Compare(type, known[type.Type].Contract);
            if (known[type.Type].Shape is { } shape && shape != type.Shape)
            {
                LogShapeChanged(type.Type);
            }
        }

        await DescribeAsync(known);
        _numbers = known.ToDictionary(code => code.Key, code => code.Value.Number, StringComparer.Ordinal);
        All = [.. _numbers.Values];
    }

    private ValueTask<Dictionary<string, Known>> ReadAsync() => database.QueryAsync(
        database.Patient, // A caller's transaction that names a new type is waited for.
        "register codes",
        batch => GroupBatch.Statement(batch, RegisterCodes, Texts(type => type.Type)),
        async reader =>
        {
            var known = new Dictionary<string, Known>(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                known[reader.GetString(1)] = new Known(
                    reader.GetInt32(0), reader.IsDBNull(2) ? null : reader.GetString(2), reader.IsDBNull(3) ? null : reader.GetString(3));
            }

            return known;
        });

    private async Task DescribeAsync(Dictionary<string, Known> known)
    {
        var stored = await database.QueryAsync(
            database.Patient,
            "describe codes",
            batch => GroupBatch.Statement(
                batch,
                DescribeCodes,
                new NpgsqlParameter<int[]> { TypedValue = [.. declared.Select(type => known[type.Type].Number)] },
                Texts(type => type.Contracts[0]),
                Texts(type => type.Shape)),
            async reader =>
            {
                var contracts = new Dictionary<string, string>(StringComparer.Ordinal);
                while (await reader.ReadAsync())
                {
                    contracts[reader.GetString(0)] = reader.GetString(1);
                }

                return contracts;
            });
        foreach (var type in declared)
        {
            Compare(type, stored[type.Type]); // Of two silos that come together one was first.
        }
    }

    private static void Compare(DeclaredCode type, string? stored)
    {
        if (stored is not null && !type.Contracts.Contains(stored))
        {
            throw new WorkflowNameTakenException(
                $"The workflow name '{type.Type}' belongs to the contract {stored} in this database, and this silo's is {type.Contracts[0]}: "
                + $"give one of them another [WorkflowName], or, if the contract moved, say [WorkflowName(\"{type.Type}\", Formerly = [\"{stored}\"])].");
        }
    }

    private NpgsqlParameter Texts(Func<DeclaredCode, string> text) => new NpgsqlParameter<string[]>
    {
        TypedValue = [.. declared.Select(text)], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
    };

    private sealed record Known(int Number, string? Contract, string? Shape);

    [LoggerMessage(106, LogLevel.Warning, "The methods of workflow '{Type}' are others than those of the silo that joined last: in a rolling upgrade that is as it should be.")]
    private partial void LogShapeChanged(string type);
}
