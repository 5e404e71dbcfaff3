namespace Actors.Storage;

/// <summary>What a run waits for in nobody's memory. Stored as smallint: numbers are never reused.</summary>
internal enum WaitKind : short
{
    /// <summary>A condition of WaitUntil.</summary>
    Condition = 0,

    /// <summary>A message of a topic.</summary>
    Message = 1,

    /// <summary>The end of a sleep.</summary>
    Sleep = 2,

    /// <summary>The next attempt of a step or transaction.</summary>
    Attempt = 3,

    /// <summary>A silo that knows a journal kind that its history holds.</summary>
    JournalKind = 4,

    /// <summary>A silo that knows a flag that its row has.</summary>
    Flag = 5,

    /// <summary>A body that runs: never stored.</summary>
    Body = 6,
}

/// <summary>A row of actors.waits.</summary>
/// <param name="Name">Of the wait, topic or step.</param>
/// <param name="Until">When it goes on by itself.</param>
/// <param name="Others">How many more things it waits for.</param>
/// <param name="Lacks">The journal kind or flag that a silo must know.</param>
internal sealed record WaitRow(WaitKind Kind, string Name, int Seq = 0, DateTimeOffset? Until = null, int Others = 0, int? Lacks = null);

/// <summary>What this build understands of a run.</summary>
/// <param name="LastKind">The last journal kind.</param>
/// <param name="FlagCount">How many flags, from the lowest bit.</param>
internal sealed record KnownFormats(int LastKind, int FlagCount)
{
    public static readonly KnownFormats OfThisBuild = new((int)JournalKinds.Last, 1);

    /// <summary>What a silo must learn to go on with this run; null: nothing.</summary>
    public WaitRow? Lacking(StoredRun run, IReadOnlyList<JournalRow> history)
    {
        var flag = 31 - int.LeadingZeroCount((ushort)run.Flags);
        return flag >= FlagCount ? new WaitRow(WaitKind.Flag, $"flag {flag}", Lacks: flag)
            : history.Select(row => (int)row.Kind).DefaultIfEmpty().Max() is var kind && kind > LastKind
                ? new WaitRow(WaitKind.JournalKind, $"journal kind {kind}", Lacks: kind) : null;
    }
}
