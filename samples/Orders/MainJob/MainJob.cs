using Actors.Orders.Input;
using Actors.Orders.Reconciling;
using Actors.Orders.Tables;
using Actors.Postgres;
using Actors.Storage;
using Dapper;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;

namespace Actors.Orders.MainJob;

/// <summary>
/// Runs the orders of a file on real processes, kills them if asked to, and tells whether everything is true that should be. This
/// process hosts no silo: it supervises, and it is the client. Running it again goes on where it stopped.
/// </summary>
public static class MainJob
{
    private static readonly TimeSpan OutboxPatience = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    /// <returns>The program's exit code.</returns>
    /// <param name="terminal">Whether a person looks at the output.</param>
    public static async Task<int> RunAsync(MainJobOptions options, TextWriter output, bool terminal, CancellationToken cancellation)
    {
        if (!File.Exists(options.File))
        {
            await Console.Error.WriteLineAsync($"There is no file {options.File}.");
            return ExitCodes.Usage;
        }

        using var alone = RunLock.TryTake(options.Folder);
        if (alone is null)
        {
            await Console.Error.WriteLineAsync("Another run is at work in this folder: wait for it, or end it with --stop.");
            return ExitCodes.Usage;
        }

        var input = await OrderFile.ReadAsync(options.File, cancellation);
        foreach (var bad in input.BadLines)
        {
            await Console.Error.WriteLineAsync($"{options.File} line {bad.Number} is skipped: {bad.Reason}.");
        }

        if (input.Orders.Count == 0)
        {
            await output.WriteLineAsync($"NOT RECONCILED there was nothing to do: {options.File} holds no valid order");
            return ExitCodes.HoldsNot;
        }

        try
        {
            var reconciled = await SuperviseAsync(options, input, output, terminal, cancellation);
            return reconciled && input.BadLines.Count == 0 ? ExitCodes.Holds : ExitCodes.HoldsNot;
        }
        catch (PostgresMissingException missing)
        {
            await Console.Error.WriteLineAsync(missing.Message);
            return ExitCodes.Missing;
        }
        catch (Exception error) when (error is NpgsqlException or ActorsException && options.Postgres.ConnectionString is not null)
        {
            await Console.Error.WriteLineAsync(
                $"The database that {Variables.PostgresName} names cannot be used: {error.Message}\n"
                + "Correct it, or unset it: then a Postgres is started for this folder.");
            return ExitCodes.Missing;
        }
        catch (Exception error) when (error is NpgsqlException or ActorsException or InvalidOperationException)
        {
            await Console.Error.WriteLineAsync(error.Message);      // Postgres or another process does not start, or was lost
            return ExitCodes.HoldsNot;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Interrupted. The next run goes on from here.");
            return ExitCodes.Interrupted;
        }
    }

    /// <summary>Ends whatever a run has left in this folder, one that is at work included.</summary>
    public static async Task<int> StopAsync(PostgresSettings settings, TextWriter output, CancellationToken cancellation)
    {
        var folder = Path.Combine(Path.GetFullPath(settings.RootFolder), ".actors");
        if (Directory.Exists(folder))
        {
            using var alone = await RunLock.TakeFromAsync(folder, RunState.Load(folder), cancellation);
            var (ended, _) = await RunState.Load(folder).EndLeftBehindAsync();
            ended.ForEach(name => output.WriteLine($"ended {name}"));
            foreach (var server in await EmbeddedPostgres.StopAsync(settings with { Major = null }, cancellation))
            {
                await output.WriteLineAsync($"stopped {server}");
            }
        }

        return ExitCodes.Holds;
    }

    /// <summary>Everything that the job needs runs while it does, and nothing of it afterwards.</summary>
    private static async Task<bool> SuperviseAsync(
        MainJobOptions options, OrderFile input, TextWriter output, bool terminal, CancellationToken cancellation)
    {
        var state = RunState.Load(options.Folder);
        var (left, deadSilos) = await state.EndLeftBehindAsync();
        if (left.Count > 0)
        {
            await output.WriteLineAsync($"Ended what an earlier run left: {string.Join(", ", left)}.");
        }

        state.Started(RunLock.Supervisor, System.Diagnostics.Process.GetCurrentProcess());
        try
        {
            var server = await EmbeddedPostgres.StartAsync(options.Postgres, output.WriteLine, cancellation);
            await using var database = NpgsqlDataSource.Create(server.ConnectionString);
            await Migrator.MigrateAsync(database, cancellation);
            await OrderTables.CreateAsync(database, cancellation);
            await Task.WhenAll(deadSilos.Select(silo => DeclareDeadAsync(database, silo)));
            var files = ServiceFiles.Of(options.Folder, await OrderTables.ShopAsync(database, cancellation));
            await using var processes = JobProcesses.Start(
                options, server.ConnectionString, files, state, silo => DeclareDeadAsync(database, silo));
            await processes.ReadyAsync(cancellation);
            if (options.Serve)
            {
                await output.WriteLineAsync($"Actors: {processes.Http.GetLeftPart(UriPartial.Authority)}");
            }

            using var client = await ConnectAsync(server.ConnectionString, cancellation);
            var (holds, line) = await WorkAsync(options, input, client.Services.GetRequiredService<IWorkflowClient>(), database, processes, files,
                new JobProgress(input.Orders.Count, output, terminal), cancellation);
            await client.StopAsync(cancellation);
            if (options.Serve)
            {
                await output.WriteLineAsync("Stays up until Ctrl-C or --stop.");
            }

            await output.WriteLineAsync(line);
            if (options.Serve)
            {
                await Task.WhenAny(processes.RunningAsync(), Task.Delay(Timeout.Infinite, cancellation));
            }

            return holds;
        }
        finally
        {
            if (options.Postgres.ConnectionString is null)
            {
                await EmbeddedPostgres.StopAsync(options.Postgres with { Major = null }, CancellationToken.None);
            }

            state.Ended(RunLock.Supervisor);
        }
    }

    /// <summary>The job itself: drives all orders to their ends, waits for the outbox, and compares.</summary>
    /// <returns>Whether everything holds, and the program's last line.</returns>
    private static async Task<(bool Holds, string Line)> WorkAsync(
        MainJobOptions options, OrderFile input, IWorkflowClient workflows, NpgsqlDataSource database, JobProcesses processes, ServiceFiles files,
        JobProgress progress, CancellationToken cancellation)
    {
        var skus = input.Orders.SelectMany(order => order.Items).Select(item => item.Sku);
        await OrderTables.StockAsync(database, skus, OrderTables.PiecesOfEach, cancellation);
        var round = await Round.FindAsync(database, input.Orders, anew: options.Crashes > 0, cancellation);
        if (round.Number > 1)
        {
            progress.Say($"Every order of the file has ended before: this is round {round.Number}, its ids end with ~{round.Number}.");
        }

        foreach (var end in round.Ended.Values)
        {
            progress.Ended(end == OrderEnd.Completed);
        }

        var left = round.Left;
        var driver = new Driver(workflows, progress);
        var carrier = new Carrier(workflows, database, left, options.Seed);
        var crashes = new CrashPlan(options.Crashes, round.Ended.Count, round.Orders.Count, processes.SiloCount, options.Seed);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var beside = Task.WhenAll(progress.ShowAsync(ended.Token), carrier.RunAsync(ended.Token));
        try
        {
            var drive = driver.RunAsync(left, crashes, ended.Token);
            var kill = crashes.RunAsync(silos => processes.KillAsync(silos, ended.Token), progress, ended.Token);
            await await Task.WhenAny(drive, processes.RunningAsync());
            await kill;     // the last orders start after the last of them
            await OutboxEmptyAsync(database, cancellation);
        }
        finally
        {
            await ended.CancelAsync();
            await beside;
        }

        var found = await Reconciliation.ReadAsync(database, round.Orders, carrier.Acknowledged, files.Payments, files.Webhook, cancellation);
        var all = found with { Differences = [.. driver.Failures, .. found.Differences] };
        foreach (var difference in all.Differences)
        {
            progress.Say(difference);
        }

        return (all.Differences.Count == 0, all.Line(crashes.Kills));
    }

    private static async Task<IHost> ConnectAsync(string connectionString, CancellationToken cancellation)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.AddActorsClient(connectionString);
        var client = builder.Build();
        await client.StartAsync(cancellation);
        return client;
    }

    /// <summary>Returns when no message is left to be delivered, or after two minutes: what is left then is a difference.</summary>
    private static async Task OutboxEmptyAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(OutboxPatience);
        using var timer = new PeriodicTimer(LookEvery);
        try
        {
            await using var connection = await database.OpenConnectionAsync(patience.Token);
            var look = new CommandDefinition(OrderSql.Get("outbox_left"), cancellationToken: patience.Token);
            while ((await connection.QuerySingleAsync<OutboxLeft>(look)).Waiting > 0)
            {
                await timer.WaitForNextTickAsync(patience.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Reconciliation says how many.
        }
    }

    /// <summary>We have seen the process end: nobody needs to wait for its lease to run out, as they do where this fails.</summary>
    private static async Task DeclareDeadAsync(NpgsqlDataSource database, Guid silo)
    {
        try
        {
            await SiloRegistry.DeclareDeadAsync(database, silo);
        }
        catch (NpgsqlException)
        {
        }
    }
}
