namespace Actors.Storage;

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
        return flag >= FlagCount ? new WaitRow(WaitingFor.LaterSemantics, $"flag {flag}", Lacks: flag)
            : history.Select(row => (int)row.Kind).DefaultIfEmpty().Max() is var kind && kind > LastKind
                ? new WaitRow(WaitingFor.LaterBuild, $"journal kind {kind}", Lacks: kind) : null;
    }
}
