namespace Actors.Execution;

/// <summary>The run has left this silo's memory before the call was answered: ask again.</summary>
/// <param name="fenced">True when another owner has it: do not claim it back.</param>
internal sealed class MovedException(bool fenced) : ActorsException("The workflow has moved; ask again.")
{
    public bool Fenced { get; } = fenced;

    public override bool IsTransient => true;
}
