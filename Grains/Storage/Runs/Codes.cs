using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>A workflow type of this silo: its stored name, the full names of its contract (today's first), and the shape of its
/// methods.</summary>
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

    /// <summary>Learns the numbers, and makes those of names that the database meets for the first time. A caller's open transaction that
    /// names one of them is waited for.</summary>
    /// <exception cref="WorkflowNameTakenException">A name belongs to another contract.</exception>
    public async Task RegisterAsync(CancellationToken cancellation = default)
    {
        var known = await CompareAsync(cancellation);
        foreach (var type in declared.Where(type => known[type.Type].Shape is { } shape && shape != type.Shape))
        {
            LogShapeChanged(type.Type);
        }

        await UntilFreeAsync(() => DescribeAsync(known), cancellation);
        known = await CompareAsync(cancellation); // Of two silos that came together one was first.
        _numbers = known.ToDictionary(code => code.Key, code => code.Value.Number, StringComparer.Ordinal);
        All = [.. _numbers.Values];
    }

    private async Task<Dictionary<string, Known>> CompareAsync(CancellationToken cancellation)
    {
        Dictionary<string, Known>? known = null;
        while (known is null || known.Count < declared.Count)
        {
            known = await UntilFreeAsync(ReadAsync, cancellation); // Again where another silo made one in this moment.
        }

        foreach (var type in declared)
        {
            if (known[type.Type].Contracts is { } stored && !stored.Intersect(type.Contracts).Any())
            {
                throw new WorkflowNameTakenException(
                    $"The workflow name '{type.Type}' belongs to the contract {stored[0]} in this database, and this silo's is "
                        + $"{type.Contracts[0]}: "
                    + $"give one of them another [WorkflowName], or, if the contract moved, say [WorkflowName(\"{type.Type}\", Formerly = "
                        + $"[\"{stored[0]}\"])].");
            }
        }

        return known;
    }

    private async ValueTask<T> UntilFreeAsync<T>(Func<ValueTask<T>> ask, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            try
            {
                return await ask();
            }
            catch (PostgresException error) when (PostgresFaults.IsLocked(error))
            {
                LogNameIsHeld(error.MessageText);
            }
        }
    }

    private ValueTask<Dictionary<string, Known>> ReadAsync() => database.QueryAsync(
        database.Engine,
        "register codes",
        batch => batch.Add(RegisterCodes, Texts(type => type.Type)),
        async reader =>
        {
            var known = new Dictionary<string, Known>(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                known[reader.GetString(1)] = new Known(
                    reader.GetInt32(0), reader.IsDBNull(2) ? null : reader.GetFieldValue<string[]>(2),
                    reader.IsDBNull(3) ? null : reader.GetString(3));
            }

            return known;
        });

    private ValueTask<bool> DescribeAsync(Dictionary<string, Known> known) => database.QueryAsync(
        database.Engine,
        "describe codes",
        batch => batch.Add(
            DescribeCodes,
            new NpgsqlParameter<int[]> { TypedValue = [.. declared.Select(type => known[type.Type].Number)] },
            Texts(type => string.Join(',', type.Contracts)),
            Texts(type => type.Shape)),
        reader => reader.ReadAsync());

    private NpgsqlParameter Texts(Func<DeclaredCode, string> text) => new NpgsqlParameter<string[]>
    {
        TypedValue = [.. declared.Select(text)], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
    };

    private sealed record Known(int Number, string[]? Contracts, string? Shape);

    [LoggerMessage(106, LogLevel.Warning,
        "The methods of workflow '{Type}' are others than those of the silo that joined last: in a rolling upgrade that is as it should "
        + "be.")]
    private partial void LogShapeChanged(string type);

    [LoggerMessage(107, LogLevel.Warning,
        "The start waits for a transaction that names one of this silo's workflow types for the first time ({Reason}).")]
    private partial void LogNameIsHeld(string reason);
}
