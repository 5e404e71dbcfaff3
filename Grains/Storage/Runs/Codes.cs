using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>A workflow type of this silo: its stored name, the full names of its contract (today's first), and the shape of its
/// methods.</summary>
internal sealed record DeclaredCode(string Type, IReadOnlyList<string> Contracts, string Shape)
{
    /// <summary>Empty: undeclared.</summary>
    public string Version { get; init; } = "";
}

/// <summary>
/// The numbers of this silo's workflow types and their versions, by which it claims runs: of a type the undeclared code, which any silo
/// with the type runs, and the version that it declares. A stored name belongs to the contract that came under it first: a
/// silo with another contract of that name does not join, so that it never runs the other's workflows.
/// </summary>
internal sealed partial class Codes(EngineDatabase database, IReadOnlyList<DeclaredCode> declared, ILogger<Codes> log)
{
    private static readonly string RegisterCodes = SqlText.Get("register_codes");
    private static readonly string DescribeCodes = SqlText.Get("describe_codes");

    /// <summary>What this silo understands of their runs.</summary>
    public KnownFormats Formats { get; init; } = KnownFormats.OfThisBuild;

    private readonly List<DeclaredCode> _rows =
    [
        .. declared.Select(type => type with { Version = "" }), .. declared.Where(type => type.Version.Length > 0),
    ];

    private volatile Dictionary<string, int> _numbers = [];

    /// <summary>Of all types; empty before <see cref="RegisterAsync"/>.</summary>
    public int[] All { get; private set; } = [];

    /// <summary>Undeclared codes of types that have a version here, and that version's: the first claim of a run sets it.</summary>
    public (int[] From, int[] To) Versions { get; private set; } = ([], []);

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
        foreach (var type in _rows.Where(type => known[Key(type)].Shape is { } shape && shape != type.Shape))
        {
            LogShapeChanged(type.Type);
        }

        await UntilFreeAsync(() => DescribeAsync(known), cancellation);
        known = await CompareAsync(cancellation); // Of two silos that came together one was first.
        _numbers = declared.ToDictionary(type => type.Type, type => known[Key(type)].Number, StringComparer.Ordinal);
        All = [.. known.Values.Select(code => code.Number)];
        var versions = declared.Where(type => type.Version.Length > 0).ToList();
        Versions = ([.. versions.Select(type => known[(type.Type, "")].Number)], [.. versions.Select(type => known[Key(type)].Number)]);
    }

    private static (string Type, string Version) Key(DeclaredCode type) => (type.Type, type.Version);

    private async Task<Dictionary<(string Type, string Version), Known>> CompareAsync(CancellationToken cancellation)
    {
        Dictionary<(string Type, string Version), Known>? known = null;
        while (known is null || known.Count < _rows.Count)
        {
            known = await UntilFreeAsync(ReadAsync, cancellation); // Again where another silo made one in this moment.
        }

        foreach (var type in _rows)
        {
            if (known[Key(type)].Contracts is { } stored && !stored.Intersect(type.Contracts).Any())
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

    private ValueTask<Dictionary<(string Type, string Version), Known>> ReadAsync() => database.QueryAsync(
        database.Engine,
        "register codes",
        batch => batch.Add(RegisterCodes, Texts(type => type.Type), Texts(type => type.Version)),
        async reader =>
        {
            var known = new Dictionary<(string Type, string Version), Known>();
            while (await reader.ReadAsync())
            {
                known[(reader.GetString(1), reader.GetString(2))] = new Known(
                    reader.GetInt32(0), reader.IsDBNull(3) ? null : reader.GetFieldValue<string[]>(3),
                    reader.IsDBNull(4) ? null : reader.GetString(4));
            }

            return known;
        });

    private ValueTask<bool> DescribeAsync(Dictionary<(string Type, string Version), Known> known) => database.QueryAsync(
        database.Engine,
        "describe codes",
        batch => batch.Add(
            DescribeCodes,
            new NpgsqlParameter<int[]> { TypedValue = [.. _rows.Select(type => known[Key(type)].Number)] },
            Texts(type => string.Join(',', type.Contracts)),
            Texts(type => type.Shape)),
        reader => reader.ReadAsync());

    private NpgsqlParameter Texts(Func<DeclaredCode, string> text) => new NpgsqlParameter<string[]>
    {
        TypedValue = [.. _rows.Select(text)], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text,
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
