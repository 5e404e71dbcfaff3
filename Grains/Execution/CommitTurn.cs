using Actors.Programs;
using Actors.Storage;

namespace Actors.Execution;

/// <summary>
/// Whose turn it is to commit for a run: there is one commit at a time. Only the thread that handles the run's work moves it.
/// <code>
/// free        nobody's                                    Begin: an entry is sent; Hold: a body begins that must not be overtaken
/// held        a body above READ COMMITTED has it          Begin: its transaction commits; GiveBack: its attempt ended without
/// under way   a commit was sent, its outcome is unknown   End: the outcome is known
/// </code>
/// </summary>
internal struct CommitTurn
{
    private BodyCommand? _holder;

    /// <summary>What was sent; null in the other states.</summary>
    public CommitUnderWay? UnderWay { get; private set; }

    public readonly bool IsFree => _holder is null && UnderWay is null;

    public readonly bool IsHeldBy(BodyCommand command) => _holder == command;

    public void Hold(BodyCommand command) => _holder = command;

    public void GiveBack(BodyCommand command) => _holder = _holder == command ? null : _holder;

    public void Begin(CommitUnderWay commit) => (UnderWay, _holder) = (commit, null);

    public CommitUnderWay End()
    {
        var commit = UnderWay!;
        UnderWay = null;
        return commit;
    }
}

/// <param name="Draft">What it commits; comes back where it is not committed.</param>
/// <param name="Last">The row that is not tried again then: of an end, or of the body whose transaction this is.</param>
/// <param name="Since">By the process's own clock.</param>
internal sealed record CommitUnderWay(Draft Draft, Entry Entry, JournalRow? Last, long Since)
{
    /// <summary>A body's transaction: where it is not committed, only the body's row is gone.</summary>
    public bool IsOfBody { get; init; }
}
