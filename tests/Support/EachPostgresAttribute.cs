using Xunit.v3;

namespace Actors.Support;

/// <summary>Marks tests that <c>./test</c> runs on every supported major version. The others run on the latest only.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class EachPostgresAttribute : Attribute, ITraitAttribute
{
    /// <inheritdoc/>
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("postgres", "each")];
}
