namespace Actors.Calling;

/// <summary>
/// While it lasts, users' code that is no workflow code (converters, getters, loggers) is called without the context of the turn under way:
/// what it awaits goes on elsewhere, and is not taken for the workflow's own doing.
/// </summary>
internal readonly ref struct OutsideTurn
{
    private readonly SynchronizationContext? _turn;

    private OutsideTurn(SynchronizationContext turn)
    {
        _turn = turn;
        SynchronizationContext.SetSynchronizationContext(null);
    }

    public static OutsideTurn Begin() => SynchronizationContext.Current is { } turn ? new OutsideTurn(turn) : default;

    public void Dispose()
    {
        if (_turn is not null)
        {
            SynchronizationContext.SetSynchronizationContext(_turn);
        }
    }
}
