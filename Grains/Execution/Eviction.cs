namespace Actors.Execution;

/// <summary>Why a run leaves this silo's memory. Each way out has one.</summary>
internal enum Eviction
{
    /// <summary>It only waits: its commit says that nobody owns it. Whoever calls it next brings it into memory.</summary>
    Rested,

    /// <summary>It was given away, to a silo that asked for it or to whoever finds it.</summary>
    Released,

    /// <summary>The database has it under another owner: this object writes nothing any more.</summary>
    Fenced,

    /// <summary>This silo has claimed it anew: another object here is its owner.</summary>
    Superseded,

    /// <summary>A fault of the engine: the database still names this silo as its owner, and it is loaded anew.</summary>
    Faulted,

    /// <summary>It cannot go on, and the database says so.</summary>
    SetAside,

    /// <summary>Its end is committed.</summary>
    Ended,
}
