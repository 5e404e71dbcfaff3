namespace Actors;

/// <summary>This process as the tables and logs name it. Registered as a service by AddActors.</summary>
/// <param name="Id">Of this start of the process: <c>actors.silos.silo</c>. The next start has another.</param>
/// <param name="Name"><see cref="ActorsClusterOptions.SiloName"/>.</param>
public sealed record SiloInfo(Guid Id, string Name);
