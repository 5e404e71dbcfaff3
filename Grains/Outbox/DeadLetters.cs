using Actors.Calling;
using Actors.Storage;

namespace Actors.Outbox;

internal sealed class DeadLetters(OutboxTable table, OutboxRelay relay) : IDeadLetters
{
    private const int PageMax = 1_000;

    public Task<IReadOnlyList<DeadLetter>> ListAsync(string destination, long after, int most, CancellationToken cancellation)
    {
        NameRule.Checked(destination, "The name of an outbox destination", OutboxRoutes.DestinationMax);
        ArgumentOutOfRangeException.ThrowIfNegative(after);
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(most, PageMax);
        return table.ReadDeadLettersAsync(destination, after, most, cancellation);
    }

    public Task<int> RedriveAsync(string destination, CancellationToken cancellation) => relay.RedriveAsync(destination, cancellation);
}
