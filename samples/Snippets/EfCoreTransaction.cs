using Microsoft.EntityFrameworkCore;

namespace Actors.Snippets;

public sealed class Invoice
{
    public long Id { get; set; }

    public required string Customer { get; set; }

    public long Cents { get; set; }
}

public sealed class Billing(DbContextOptions<Billing> options) : DbContext(options)
{
    public DbSet<Invoice> Invoices => Set<Invoice>();
}

public sealed class Bill : Workflow<Invoice, long>
{
    #region ef-core
    protected override Task<long> RunAsync(Invoice input) => Transaction("bill", async tx =>
    {
        var options = new DbContextOptionsBuilder<Billing>().UseNpgsql(tx.Connection).Options;
        await using var billing = new Billing(options);
        await billing.Database.UseTransactionAsync(tx.Transaction, tx.Cancellation);     // no SaveChanges without it
        var invoice = new Invoice { Customer = input.Customer, Cents = input.Cents };
        billing.Add(invoice);
        await billing.SaveChangesAsync(tx.Cancellation);
        tx.Publish("invoices", invoice.Customer, invoice.Id);
        return invoice.Id;
    });
    #endregion
}
