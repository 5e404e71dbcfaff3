using Actors.Orders.Payments;
using Xunit;

namespace Actors.Orders.Tests;

public sealed class PaymentLedgerTests : IDisposable
{
    private readonly string _file = Path.Combine(Directory.CreateTempSubdirectory("actors-test-").FullName, "payments.jsonl");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_file)!, recursive: true);

    [Fact]
    public async Task A_key_has_one_outcome_however_many_ask_and_whenever()
    {
        await using (var ledger = new PaymentLedger(_file))
        {
            var answers = await Task.WhenAll(
                Enumerable.Range(0, 50).Select(_ => Task.Run(() => ledger.ChargeAsync("k", new("o-1", "ok", 100)))));
            Assert.All(answers, answer => Assert.Equal(answers[0], answer));
        }

        await using (var again = new PaymentLedger(_file))
        {
            Assert.Equal(100, (await again.ChargeAsync("k", new("o-1", "ok", 100))).AmountCents);
        }

        Assert.Single(AppendOnlyFile<Payment>.Read(_file));
    }

    [Fact]
    public async Task A_refund_gives_back_what_was_charged_and_closes_the_order_for_charges_that_come_late()
    {
        await using var ledger = new PaymentLedger(_file);
        await ledger.ChargeAsync("k1", new("o-1", "ok", 100));

        Assert.Equal(100, (await ledger.RefundAsync("r1", new("o-1"))).AmountCents);
        Assert.Equal(0, (await ledger.RefundAsync("r2", new("o-1"))).AmountCents);
        Assert.Equal(0, (await ledger.RefundAsync("r3", new("o-2"))).AmountCents);
        Assert.Equal(PaymentKind.Declined, (await ledger.ChargeAsync("k2", new("o-2", "ok", 100))).Kind);
    }

    [Fact]
    public async Task A_line_that_a_kill_cut_short_was_never_acknowledged_and_is_gone()
    {
        await using (var ledger = new PaymentLedger(_file))
        {
            await ledger.ChargeAsync("k1", new("o-1", "ok", 100));
        }

        await File.AppendAllTextAsync(_file, """{"sequence":2,"kind":"Cha""", TestContext.Current.CancellationToken);
        await using (var again = new PaymentLedger(_file))
        {
            await again.ChargeAsync("k2", new("o-2", "ok", 200));
        }

        Assert.Equal([("k1", 1L), ("k2", 2L)], AppendOnlyFile<Payment>.Read(_file).Select(payment => (payment.Key, payment.Sequence)));
    }

    [Fact]
    public async Task A_key_of_another_order_is_refused()
    {
        await using var ledger = new PaymentLedger(_file);
        await ledger.ChargeAsync("k", new("o-1", "ok", 100));

        await Assert.ThrowsAsync<ArgumentException>(() => ledger.ChargeAsync("k", new("o-2", "ok", 100)));
    }
}
