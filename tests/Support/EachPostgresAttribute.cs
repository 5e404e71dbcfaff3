using Xunit.v3;

namespace Actors.Support;

/// <summary>Marks tests that <c>./test --all</c> runs on the oldest supported major version too. The others run on the latest
/// only.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class EachPostgresAttribute : Attribute, ITraitAttribute
{
    /// <summary>As xunit's filters name it.</summary>
    public const string Trait = "postgres=each";

    /// <inheritdoc/>
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("postgres", "each")];
}
