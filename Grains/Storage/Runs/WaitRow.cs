namespace Actors.Storage;

/// <summary>A row of actors.waits: what a run waits for in nobody's memory.</summary>
/// <param name="Kind">Stored as smallint; of bodies none is.</param>
/// <param name="Name">Of the wait, topic or step.</param>
/// <param name="Until">When it goes on by itself.</param>
/// <param name="Others">How many more things it waits for.</param>
/// <param name="Lacks">The journal kind or flag that a silo must know.</param>
internal sealed record WaitRow(WaitingFor Kind, string Name, int Seq = 0, DateTimeOffset? Until = null, int Others = 0, int? Lacks = null);
