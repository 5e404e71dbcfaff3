using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;

namespace Actors.Orders.Payments;

/// <summary>
/// The other side of the order workflow, a process of its own: <c>POST /charges</c> and <c>POST /refunds</c> with an Idempotency-Key,
/// <c>GET /payments</c> to look. As unreliable as the seed says, but never wrong about money.
/// </summary>
public static class PaymentService
{
    private const int TroublePercent = 25;

    /// <param name="file">Its books; they outlive the process.</param>
    /// <param name="reliable">True: no trouble at all.</param>
    public static WebApplication Build(WebApplicationBuilder builder, string file, int seed, bool reliable = false)
    {
        builder.Services.AddSingleton(_ => new PaymentLedger(file));
        var app = builder.Build();
        var unreliability = new Unreliability(seed, reliable ? 0 : TroublePercent);
        app.MapPost("/charges", (ChargeRequest request, PaymentLedger ledger, [FromHeader(Name = PaymentsClient.KeyHeader)] string key) =>
            unreliability.AnswerAsync(key, () => AnswerAsync(ledger.ChargeAsync(key, request))));
        app.MapPost("/refunds", (RefundRequest request, PaymentLedger ledger, [FromHeader(Name = PaymentsClient.KeyHeader)] string key) =>
            unreliability.AnswerAsync(key, () => AnswerAsync(ledger.RefundAsync(key, request))));
        app.MapGet("/payments", (PaymentLedger ledger) => ledger.List());
        return app;
    }

    private static async Task<IResult> AnswerAsync(Task<Payment> entry)
    {
        try
        {
            var payment = await entry;
            var declined = payment.Kind == PaymentKind.Declined;
            return Results.Json(payment, statusCode: declined ? StatusCodes.Status402PaymentRequired : StatusCodes.Status200OK);
        }
        catch (ArgumentException error)
        {
            return Results.Problem(error.Message, statusCode: StatusCodes.Status422UnprocessableEntity);
        }
    }
}
