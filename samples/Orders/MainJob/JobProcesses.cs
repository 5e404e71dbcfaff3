using System.Security.Cryptography;

namespace Actors.Orders.MainJob;

/// <summary>The processes of the job but the database: the payment service, the webhook receiver, the silos. Disposing stops them, silos
/// first.</summary>
internal sealed class JobProcesses : IAsyncDisposable
{
    private readonly List<SupervisedProcess> _services;
    private readonly List<SupervisedProcess> _silos;

    private JobProcesses(List<SupervisedProcess> services, List<SupervisedProcess> silos, Uri http) => (_services, _silos, Http) = (services, silos, http);

    /// <summary>Of the first silo.</summary>
    public Uri Http { get; }

    public int SiloCount => _silos.Count;

    /// <param name="files">Where the two services keep their files.</param>
    /// <param name="died">Called with the id of a silo that is gone and was not stopped.</param>
    public static JobProcesses Start(MainJobOptions options, string connectionString, ServiceFiles files, RunState state, Func<Guid, Task> died)
    {
        var logs = Path.Combine(options.Folder, "log");
        var (payments, webhook) = (state.Port("payments"), state.Port("webhook"));
        var secret = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        var shared = new Dictionary<string, string>
        {
            [Variables.PostgresName] = connectionString,
            [Variables.PaymentsName] = $"http://127.0.0.1:{payments}",
            [Variables.WebhookName] = $"http://127.0.0.1:{webhook}/events",
            [Variables.WebhookSecretName] = secret,
        };
        List<SupervisedProcess> services =
        [
            Process("payments", ["payments", "--port", $"{payments}", "--file", files.Payments, "--seed", $"{options.Seed}"], _ => Task.CompletedTask),
            Process("webhook", ["webhook", "--port", $"{webhook}", "--file", files.Webhook, "--seed", $"{options.Seed}"], _ => Task.CompletedTask),
        ];
        var silos = Enumerable.Range(1, options.Silos).Select(number => $"silo-{number}").Select(name => Process(
            name,
            [
                "silo", "--name", name, "--silo-port", $"{state.Port($"{name} silo")}", "--gateway-port", $"{state.Port($"{name} gateway")}",
                "--http", $"http://127.0.0.1:{state.Port($"{name} http")}",
            ],
            died)).ToList();
        return new JobProcesses(services, silos, new Uri($"http://127.0.0.1:{state.Port("silo-1 http")}"));

        SupervisedProcess Process(string name, string[] arguments, Func<Guid, Task> gone) => new(name, arguments, shared, state, logs, gone);
    }

    /// <summary>Returns when all of them serve.</summary>
    /// <exception cref="InvalidOperationException">One does not start.</exception>
    public Task ReadyAsync(CancellationToken cancellation) =>
        Task.WhenAll(_services.Concat(_silos).Select(process => process.ReadyAsync(cancellation)));

    /// <summary>Kills these silos together, once all silos serve. They are started again.</summary>
    public async Task KillAsync(IReadOnlyList<int> silos, CancellationToken cancellation)
    {
        await ReadyAsync(cancellation);
        await Task.WhenAll(silos.Select(silo => _silos[silo].KillAsync(cancellation)));
    }

    /// <summary>Fails when one of them does not come back; else never ends before they are stopped.</summary>
    public async Task RunningAsync() => await await Task.WhenAny(_services.Concat(_silos).Select(process => process.Running));

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_silos.Select(silo => silo.DisposeAsync().AsTask()));
        await Task.WhenAll(_services.Select(service => service.DisposeAsync().AsTask()));
    }
}

/// <summary>The files of the two services. They belong to one database: each has a folder of its own.</summary>
internal sealed record ServiceFiles(string Payments, string Webhook)
{
    public static ServiceFiles Of(string folder, Guid shop)
    {
        var own = Path.Combine(folder, $"orders-{shop.ToString("N")[..8]}");
        return new ServiceFiles(Path.Combine(own, "payments.jsonl"), Path.Combine(own, "webhook.jsonl"));
    }
}
