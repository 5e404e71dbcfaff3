namespace Actors;

/// <summary>What becomes of a run whose code, replayed in a fresh object, does not do the same again.</summary>
public enum ReplayCheck
{
    /// <summary>It is not looked for: the run is set aside when it is replayed after a rest, a move or a crash.</summary>
    Off,

    /// <summary>It is logged, and stands in the run's status.</summary>
    Warn,

    /// <summary>Who asks for the result, a query or the status of the run gets a <see cref="ReplayDifferenceException"/>. What is stored
    /// stays.</summary>
    Throw,
}
