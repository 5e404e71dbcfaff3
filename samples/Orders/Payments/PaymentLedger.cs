namespace Actors.Orders.Payments;

/// <summary>What the payment service did, in order: a line of its file.</summary>
/// <param name="AmountCents">That changed hands; 0 for what was refused, and for a refund where nothing had been charged.</param>
internal sealed record Payment(long Sequence, PaymentKind Kind, string Key, string Order, int AmountCents);

internal enum PaymentKind
{
    Charged,
    Declined,
    Refunded,
}

/// <summary>
/// The books of the payment service. A key has one outcome, decided by its first call and on the disk before any caller learns it;
/// what is refunded stays refunded: an order that has a refund is never charged again.
/// </summary>
internal sealed class PaymentLedger : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly AppendOnlyFile<Payment> _file;
    private readonly Dictionary<string, (Payment Payment, Task Written)> _byKey = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _owned = new(StringComparer.Ordinal);       // cents held, by order
    private readonly HashSet<string> _closed = new(StringComparer.Ordinal);              // orders that had a refund
    private long _sequence;

    public PaymentLedger(string path)
    {
        _file = new AppendOnlyFile<Payment>(path, out var payments);
        payments.ForEach(payment => Book(payment, Task.CompletedTask));
    }

    public Task<Payment> ChargeAsync(string key, ChargeRequest request) => OnceAsync(key, request.Order, () =>
        request.Card == "ok" && !_closed.Contains(request.Order) ? (PaymentKind.Charged, request.AmountCents) : (PaymentKind.Declined, 0));

    public Task<Payment> RefundAsync(string key, RefundRequest request) =>
        OnceAsync(key, request.Order, () => (PaymentKind.Refunded, _owned.GetValueOrDefault(request.Order)));

    public List<Payment> List()
    {
        lock (_lock)
        {
            return [.. _byKey.Values.Where(entry => entry.Written.IsCompleted).Select(entry => entry.Payment).OrderBy(payment => payment.Sequence)];
        }
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    /// <exception cref="ArgumentException">The key belongs to another order.</exception>
    private async Task<Payment> OnceAsync(string key, string order, Func<(PaymentKind Kind, int AmountCents)> decide)
    {
        (Payment Payment, Task Written) entry;
        lock (_lock)
        {
            if (!_byKey.TryGetValue(key, out entry))
            {
                var (kind, amount) = decide();
                var payment = new Payment(_sequence + 1, kind, key, order, amount);
                Book(payment, _file.AppendAsync(payment));
                entry = _byKey[key];
            }
        }

        if (entry.Payment.Order != order)
        {
            throw new ArgumentException($"Idempotency key {key} was used for another order.", nameof(key));
        }

        await entry.Written;
        return entry.Payment;
    }

    private void Book(Payment payment, Task written)
    {
        _byKey.Add(payment.Key, (payment, written));
        _sequence = payment.Sequence;
        if (payment.Kind == PaymentKind.Refunded)
        {
            _owned[payment.Order] = 0;
            _closed.Add(payment.Order);
        }
        else
        {
            _owned[payment.Order] = _owned.GetValueOrDefault(payment.Order) + payment.AmountCents;
        }
    }
}
