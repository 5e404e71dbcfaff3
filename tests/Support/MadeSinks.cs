using Microsoft.Extensions.DependencyInjection;

namespace Actors.Support;

/// <summary>The sinks of routes for a relay without a host.</summary>
public static class MadeSinks
{
    internal static IEnumerable<OutboxRoute> Made(this OutboxRoutes routes)
    {
        var services = new ServiceCollection();
        routes.Register(services);
        return routes.Sinks(services.BuildServiceProvider());
    }
}
