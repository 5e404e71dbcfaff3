namespace Actors.Storage;

/// <summary>An entry or a start on its way, and who is to know its outcome.</summary>
internal sealed class PendingCommit(Entry? entry, Start? start, Action<CommitReply> reply)
{
    private CommitReply _outcome;
    private bool _isApart;

    public Entry? Entry { get; } = entry;

    public Start? Start { get; } = start;

    public int Size => Entry?.Size ?? Start!.Size;

    /// <summary>It leaves its group: from now on its outcome is told when it is known, and not with the group's.</summary>
    public void SetApart() => _isApart = true;

    /// <summary>The outcome is certain.</summary>
    public void Complete(CommitReply outcome)
    {
        _outcome = outcome;
        if (_isApart)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static pending => pending.Tell(), this, preferLocal: false);
        }
    }

    public void Complete(CommitOutcome outcome, Exception? error = null) =>
        Complete(new CommitReply(outcome, default, Entry?.Epoch ?? 0, error));

    /// <summary>The group has been handled.</summary>
    public void Answer()
    {
        if (!_isApart)
        {
            Tell();
        }
    }

    private void Tell() => reply(_outcome);
}
