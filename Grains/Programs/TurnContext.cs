using Actors.Storage;

namespace Actors.Programs;

/// <summary>
/// Runs a workflow's code one continuation at a time, in the order in which they became ready, on whichever thread delivers. What arrives
/// from any other thread is not the workflow's own doing and would differ in replay: it is reported, and not run.
/// </summary>
internal sealed class TurnContext(Action foreignContinuation, Action<Exception> escaped) : SynchronizationContext
{
    [ThreadStatic]
    private static TurnContext? _current;

    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = new();

    /// <summary>True on the thread, and in the context, in which this workflow's code may give commands.</summary>
    public bool IsInTurn => _current == this && Current == this;

    /// <summary>Runs the action and everything that it made ready.</summary>
    public void Run(Action action)
    {
        Ambient.EnterCode(); // What others have set would not be there when this turn is alone in a replay.
        var (outerContext, outerTurn) = (Current, _current);
        SetSynchronizationContext(this);
        _current = this;
        try
        {
            action();
            while (_ready.TryDequeue(out var next))
            {
                Continue(next.Callback, next.State);
            }
        }
        finally
        {
            _current = outerTurn;
            SetSynchronizationContext(outerContext);
            if (outerTurn is null)
            {
                Ambient.Drop(); // Nor is what it has set for whoever has this thread next.
            }
            else
            {
                Ambient.EnterCode();
            }
        }
    }

    // Continuations of awaits keep their exceptions in their tasks: only those of async void come through.
    private void Continue(SendOrPostCallback callback, object? state)
    {
        try
        {
            callback(state);
        }
        catch (Exception error)
        {
            escaped(error);
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (_current == this)
        {
            _ready.Enqueue((d, state));
        }
        else
        {
            foreignContinuation();
        }
    }

    public override void Send(SendOrPostCallback d, object? state) =>
        throw new NotSupportedException("Workflow code cannot be entered from outside.");

    public override SynchronizationContext CreateCopy() => this;
}
