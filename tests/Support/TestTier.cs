using Xunit.v3;

namespace Actors.Support;

/// <summary>How much of the tests is asked for. Each promise has its tests in the fast tier, which is <c>./test</c> by itself.</summary>
public static class TestTier
{
    public const string Variable = "ACTORS_TEST_TIER";
    public const string All = "all";

    /// <summary>Everything, as <c>./test --all</c> says.</summary>
    public static bool IsAll { get; } = Environment.GetEnvironmentVariable(Variable) == All;
}

/// <summary>Marks tests that <c>./test</c> leaves to <c>./test --all</c>.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class OnlyInAllAttribute : Attribute, ITraitAttribute
{
    /// <summary>As xunit's filters name it.</summary>
    public const string Trait = "tier=all";

    /// <inheritdoc/>
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("tier", "all")];
}
