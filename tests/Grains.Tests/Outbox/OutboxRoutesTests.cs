using Actors.Support;
using Xunit;

namespace Actors.Outbox;

public sealed class OutboxRoutesTests
{
    private static readonly HandlerSink Sink = new((_, _) => Task.CompletedTask);

    [Fact]
    public void A_topic_goes_once_to_each_of_its_destinations()
    {
        var routes = new OutboxRoutes().Add("a", Sink, "orders", "orders").Add("b", Sink, "*", "orders").Add("c", Sink, "bills");
        Assert.Equal(["a", "b"], routes.DestinationsFor("orders"));
        Assert.Equal(["b"], routes.DestinationsFor("unheard"));
        Assert.Empty(new OutboxRoutes().Add("c", Sink, "bills").DestinationsFor("orders"));
        Assert.Equal(["a", "b", "c"], routes.Made().Select(sink => sink.Destination));
    }

    [Fact]
    public void Routes_in_use_do_not_change()
    {
        var routes = new OutboxRoutes();
        routes.DestinationsFor("orders");
        Assert.Throws<InvalidOperationException>(() => routes.Add("a", Sink, "*"));
    }

    [Fact]
    public void A_destination_is_added_once_and_with_topics()
    {
        var routes = new OutboxRoutes().Add("a", Sink, "orders");
        Assert.Throws<ArgumentException>(() => routes.Add("a", Sink, "bills"));
        Assert.Throws<ArgumentException>(() => routes.Add("b", Sink));
        Assert.Throws<ArgumentException>(() => routes.Add("", Sink, "*"));
        Assert.Empty(routes.DestinationsFor("bills"));
    }
}
