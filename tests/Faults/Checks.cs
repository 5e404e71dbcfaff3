using Npgsql;

namespace Actors.Faults;

/// <summary>What must be true, each under its name: during the run, and when everything has ended.</summary>
internal sealed class Checks(Rig rig, Load load, Findings findings) : IAsyncDisposable
{
    private const long Money = Bank.Accounts * 1000L;

    // Owners that may follow each other without one of them moving the run: a cluster in trouble needs some, a tug of war has no end.
    private const int ClaimsMax = 20;
    private const long MemoryMaxMiB = 1500;

    private readonly Replays _replays = new(rig.ConnectionString);

    /// <summary>Reads the bank again and again, each time in a snapshot of its own, while Postgres is there.</summary>
    public async Task WatchMoneyAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var sum = await rig.ScalarAsync<decimal>("select sum(balance) from accounts");
                Looked("money_constant", 1, sum == Money ? [] : [$"{sum} during the run"]);
            }
            catch (Exception error) when (error is NpgsqlException or IOException or System.Net.Sockets.SocketException)
            {
                // Postgres is away.
            }

            await Task.Delay(200, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Asks workflows for their state again and again: it must be one that their history, replayed, gives too.</summary>
    public async Task WatchStatesAsync(CancellationToken stop)
    {
        var random = new Random();
        while (!stop.IsCancellationRequested)
        {
            var open = load.History.Where(asked => asked.Result is null).Select(asked => asked.Id).ToList();
            if (open.Count > 0)
            {
                await CompareStateAsync(open[random.Next(open.Count)]);
            }

            await Task.Delay(50, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public ValueTask DisposeAsync() => _replays.DisposeAsync();

    /// <param name="ended">All callers got their results.</param>
    public async Task AfterAsync(bool ended)
    {
        await MakeAsync("analyze", AnalyzeAsync);
        var open = load.History.Where(asked => asked is { Result: null, IsStarted: true }).Select(asked => asked.Id).DefaultIfEmpty(
            "a call").ToList();
        Looked("all_end", load.History.Count, ended ? [] : [.. open.Select(id => $"{id} did not end")]);
        await SqlAsync("money_constant", "select 1", $"select 'sum ' || sum(balance) from accounts having sum(balance) <> {Money}");
        await SqlAsync("transactions_exactly_once", "select count(*) from moves",
            "select workflow || ' ' || number || ': ' || count(*) from moves group by workflow, number having count(*) <> 1");
        await SqlAsync("timers_once_and_not_early", "select count(*) from wakes",
            "select workflow || ' ' || number || ': due ' || min(due) || ', woke ' || min(woke) || ', ' || count(*) from wakes group by "
            + "workflow, number having count(*) <> 1 or min(woke) < min(due)");
        await SqlAsync(
            "every_round_is_there",
            "select count(*) from actors.runs where id like 'bank-%' and status = 1",
            """
            select w.id || ': ' || m.moves || ' moves, ' || m.wakes || ' wakes, input ' || j.payload
            from actors.runs w join actors.journal j on j.instance = w.instance and j.kind = 0
            left join (select workflow, sum(move) as moves, sum(wake) as wakes
                from (select workflow, 1 as move, 0 as wake from moves union all select workflow, 0, 1 from wakes) each group by workflow) m on m.workflow = w.id
            where w.id like 'bank-%' and w.status = 1 and (coalesce(m.moves, 0) <> (j.payload->>'rounds')::int or m.wakes <> m.moves)
            """);
        await SqlAsync(
            "positions_without_gaps",
            "select count(*) from actors.journal",
            """
            select w.id || ': position ' || w.position || ', ' || count(j.*) || ' rows, ' || min(j.position) || ' to ' || max(j.position)
            from actors.runs w left join actors.journal j on j.instance = w.instance
            group by w.instance having count(j.*) <> w.position + 1 or min(j.position) <> 0 or max(j.position) <> w.position
            """);
        await SqlAsync("started_at_most_once", "select count(distinct id) from actors.runs",
            "select id || ': ' || count(*) || ' runs' from actors.runs where id not like 'again-%' group by id having count(*) > 1");
        await SqlAsync("all_end", "select count(*) from actors.runs",
            "select id || ' has not ended' from actors.runs where ended_at is null");
        await SqlAsync("all_completed", "select count(*) from actors.runs",
            "select id || ' has status ' || status from actors.runs where status not in (0, 1)");
        await OwnersAsync();
        await SqlAsync("nothing_left", "select 1",
            "select 'outbox ' || count(*) from actors.outbox having count(*) > 0 union all select 'dead letters ' || count(*) from "
            + "actors.dead_letters having count(*) > 0 union all select 'timers ' || count(*) from actors.timers having count(*) > 0 union "
            + "all select 'mail ' || count(*) from actors.inbox where state <> 1 having count(*) > 0");
        await MakeAsync("outbox and effects", OutsideAsync);
        await MakeAsync("results", ResultsAsync);
        await MakeAsync("signals", SignalsAsync);
        await MakeAsync("repeats", RepeatsAsync);
        await MakeAsync("states", StatesAsync);
        await MakeAsync("limits", LimitsAsync);
        Looked("silos_do_not_crash", rig.Starts, rig.Crashes);
    }

    /// <summary>A check that cannot be made is a difference, and the others are made all the same.</summary>
    private async Task MakeAsync(string check, Func<Task> make)
    {
        try
        {
            await make();
        }
        catch (Exception error)
        {
            findings.Add("checks_end", $"{check} could not be made: {error}");
        }
    }

    // A crash of Postgres throws away what would have it done by itself.
    private async Task AnalyzeAsync()
    {
        await using var analyze = rig.Database.CreateCommand("analyze");
        await analyze.ExecuteNonQueryAsync();
    }

    private async Task OutsideAsync()
    {
        var lines = (await File.ReadAllLinesAsync(rig.EffectsFile)).Select(line => line.Split(' ')).ToList();
        // By the journal, and by what was written into the outbox.
        var committed = await ReadAsync(
            "select p.run || ':' || p.ordinal from published p union select w.run || ':' || n from actors.runs w cross join lateral "
            + "generate_series(1, (select coalesce(sum(messages), 0) from actors.journal j where j.instance = w.instance)) n");
        var aborted = lines.Where(line => line is ["aborted", ..]).Select(line => line[1]).ToHashSet();
        Delivered("", lines, committed, aborted);
        Delivered(" by webhook", (await File.ReadAllLinesAsync(rig.WebhooksFile)).Select(line => line.Split(' ')), committed, aborted);

        var effects = lines.Where(line => line is ["effect", ..]).Select(line => (Step: $"{line[1]} {line[2]}", Key: line[3])).ToList();
        Looked("idempotency_keys_stable", effects.Count,
            effects.GroupBy(effect => effect.Step).Where(same => same.Select(e => e.Key).Distinct().Count() > 1).Select(same => same.Key));
        Looked("idempotency_keys_unique", effects.Count,
            effects.GroupBy(effect => effect.Key).Where(same => same.Select(e => e.Step).Distinct().Count() > 1).Select(same => same.Key));
    }

    /// <summary>What one destination got.</summary>
    private void Delivered(string how, IEnumerable<string[]> lines, HashSet<string> committed, HashSet<string> aborted)
    {
        var messages = lines.Where(line => line is ["message", ..]).Select(
            line => (Account: line[1], Version: long.Parse(line[2], System.Globalization.CultureInfo.InvariantCulture), Nonce: line[3],
            Id: line[4])).ToList();
        var delivered = messages.Select(message => message.Id).ToHashSet();
        Looked("outbox_delivers_all" + how, committed.Count,
            committed.Where(id => !delivered.Contains(id)).Select(id => $"{id} was never delivered"));
        Looked("outbox_delivers_only_committed" + how, delivered.Count,
            delivered.Except(committed).Select(id => $"{id} was delivered, and is in no journal"));
        Looked("nothing_of_an_aborted_transaction" + how, aborted.Count,
            messages.Where(message => aborted.Contains(message.Nonce)).Select(message => message.Id));
        Looked("message_ids_stable" + how, messages.Count,
            messages.GroupBy(message => message.Id).Where(same => same.Distinct().Count() > 1).Select(
            same => string.Join(" | ", same.Distinct())));
        var versions = new Dictionary<string, long>();
        foreach (var message in messages.DistinctBy(message => message.Id))
        {
            var last = versions.GetValueOrDefault(message.Account);
            Looked("order_per_key" + how, 1, message.Version > last ? []
                : [$"account {message.Account}: {message.Id} of version {message.Version} came first after {last}"]);
            versions[message.Account] = Math.Max(last, message.Version);
        }
    }

    /// <summary>What the audit table saw: who wrote, and in which order.</summary>
    private async Task OwnersAsync()
    {
        const string moves = "select count(*) from audit where position <> old_position";
        await SqlAsync("only_the_owner_writes", moves, """
            select run || ': position ' || position || ' of owner ' || coalesce(old_owner::text, 'nobody') || ' was written by ' || writer
            from audit where position <> old_position and writer not like '%' || coalesce(old_owner::text, 'nobody')
            """);
        await SqlAsync("positions_in_order", moves, """
            select run || ': from ' || old_position || ' to ' || position || ' in epoch ' || old_epoch || ' to ' || epoch || ', after ' || last_position || ' in epoch ' || last_epoch
            from (select *, lag(position) over runs as last_position, lag(epoch) over runs as last_epoch from audit window runs as (partition by instance order by n)) a
            where old_position <> last_position or old_epoch <> last_epoch or position < old_position or epoch < old_epoch
            """);
        await SqlAsync("terminal_stays_terminal", "select count(*) from actors.runs where status in (1, 2)", """
            select run || ': status ' || old_status || ' became ' || status || ', position ' || old_position || ' ' || position from audit where old_status in (1, 2) and (status, position) <> (old_status, old_position)
            """);
        await SqlAsync("claims_bounded", "select count(*) from audit where epoch > old_epoch", $"""
            select run || ': ' || count(*) || ' claims at position ' || position from audit
            where epoch > old_epoch group by run, position having count(*) > {ClaimsMax}
            """);
        await SqlAsync("journal_is_never_rewritten", "select count(*) from actors.journal", rig.KeepsAll ? "select what from rewritten"
            : "select what from rewritten where what like 'UPDATE%'");
    }

    private async Task SignalsAsync()
    {
        await SqlAsync("signals_once", "select count(*) from actors.journal where message_id is not null", """
            select message_id || ': ' || count(*) || ' positions' from actors.journal join actors.runs using (instance)
            where message_id is not null group by workflow, message_id having count(*) > 1
            """);
        var recorded = await ReadAsync(
            "select message_id from actors.journal where message_id is not null union select message_id from actors.inbox");
        var acknowledged = load.History.SelectMany(asked => asked.Acknowledged).ToList();
        Looked("acknowledged_is_recorded", acknowledged.Count, rig.KeepsAll ? acknowledged.Where(id => !recorded.Contains(id)) : []);
        var made = await ReadAsync("select id from actors.runs");
        var started = load.History.Where(asked => asked.IsStarted).Select(asked => asked.Id).ToList();
        Looked("acknowledged_is_recorded", started.Count, rig.KeepsAll
            ? started.Where(id => !made.Contains(id)).Select(id => $"{id} was started") : []);
    }

    /// <summary>However often a start was repeated, and whatever earlier runs had been told again.</summary>
    private async Task RepeatsAsync()
    {
        foreach (var chain in load.Chains)
        {
            var runs = await rig.ScalarAsync<long>($"select count(*) from actors.runs where id = '{chain.Id}'");
            Looked("repeats_make_one_run", chain.Made.Count, !rig.KeepsAll || runs == chain.Requests.Count ? []
                : [$"{chain.Id}: {runs} runs, {chain.Requests.Count} requests"]);
            Looked("repeats_make_one_run", 0, chain.Made.GroupBy(made => made.Number, made => made.Run)
                .Where(request => request.Distinct().Count() > 1).Select(
                    request => $"{chain.Id}: request {request.Key} made {string.Join(" and ", request.Distinct())}"));
            Looked("repeats_count_once", chain.Requests.Count,
                chain.Requests.Where(request => chain.Results.GetValueOrDefault(request.Number) != request.Sum)
                .Select(request => $"{chain.Id}: run {request.Number} made {chain.Results.GetValueOrDefault(request.Number)}, asked "
                    + $"{request.Sum}"));
        }
    }

    private async Task LimitsAsync()
    {
        await SqlAsync("payloads_within_the_limit", "select count(*) from actors.journal", $"""
            select 'instance ' || instance || ', position ' || position || ': ' || octet_length(payload::text) from actors.journal where octet_length(payload::text) > {FaultSilo.PayloadSizeMax}
            """);
        await SqlAsync("groups_within_the_limit", "select count(distinct xmin::text) from actors.journal", $"""
            select 'transaction ' || xmin::text || ': ' || count(distinct instance) || ' workflows' from actors.journal group by xmin::text having count(distinct instance) > {FaultSilo.GroupSizeMax}
            """);
        foreach (var silo in rig.Silos)
        {
            silo.Measure();
            Looked("memory_bounded", 1, silo.PeakMiB > MemoryMaxMiB ? [$"{silo.Name} had {silo.PeakMiB} MiB"] : []);
        }
    }

    private async Task StatesAsync()
    {
        await using var command = rig.Database.CreateCommand("""
            select s.workflow, s.state, (j.payload->>'signals')::int from states s
            join actors.runs w on w.id = s.workflow and w.status = 1 join actors.journal j on j.instance = w.instance and j.kind = 0
            where w.id not like 'again-%'
            """);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var (id, live, waitsFor) = (reader.GetString(0), reader.GetString(1), reader.GetInt32(2));
            // A workflow that does not wait for its signals may get one after it wrote its state down.
            await ReplayedAsync(id, states => states.Count == 0 || (waitsFor == 0 ? states.Contains(live) : states[^1] == live), live);
        }
    }

    private async Task CompareStateAsync(string id)
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        try
        {
            var live = await rig.Workflows.Get<IBank>(id).QueryAsync(bank => bank.State());
            load.InTime($"query of {id}", watch);
            await ReplayedAsync(id, states => states.Contains(live), live);
        }
        catch (Exception error) when (error is NpgsqlException or IOException or System.Net.Sockets.SocketException or WorkflowUnavailableException or WorkflowNotFoundException)
        {
            load.InTime($"query of {id}", watch); // Postgres or the silo is away, or it has not started yet.
        }
        catch (Exception error)
        {
            findings.Add("typed_errors", $"{id}: {error}");
        }
    }

    private async Task ReplayedAsync(string id, Func<List<string>, bool> holds, string live)
    {
        try
        {
            var states = await _replays.StatesAsync(id);
            Looked("replay_gives_the_live_state", 1, holds(states) ? [] : [$"{id}: live '{live}', replayed '{states.LastOrDefault()}'"]);
        }
        catch (WorkflowCodeException error)
        {
            Looked("replay_gives_the_live_state", 1, [error.Message]);
        }
    }

    private async Task ResultsAsync()
    {
        foreach (var asked in load.History.Where(asked => asked.Result is not null))
        {
            try
            {
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
                var again = await rig.Workflows.Get<IBank>(asked.Id).ResultAsync(limit.Token);
                Looked("results_final", 1, again == asked.Result ? [] : [$"{asked.Id}: {asked.Result}, later {again}"]);
            }
            catch (WorkflowNotFoundException) when (!rig.KeepsAll)
            {
                // Kept for long enough.
            }
            catch (Exception error) when (error is WorkflowUnavailableException or OperationCanceledException)
            {
                findings.Add("results_final", $"{asked.Id}: no result when all was calm: {error.Message}");
            }

            Looked("acknowledged_exactly_once", 1, asked.IsRight(asked.Result!.Value) ? []
                : [$"{asked.Id}: {asked.Result}, asked {asked.Sum}"]);
        }
    }

    private Task SqlAsync(string check, string count, string differences) => MakeAsync(check, async () =>
        Looked(check, Convert.ToInt64(await rig.ScalarAsync<object>(count), System.Globalization.CultureInfo.InvariantCulture),
            await ReadAsync(differences)));

    private void Looked(string check, long at, IEnumerable<string> differences)
    {
        findings.Looked(check, at);
        foreach (var difference in differences)
        {
            findings.Add(check, difference);
        }
    }

    private async Task<HashSet<string>> ReadAsync(string sql)
    {
        var rows = new HashSet<string>();
        await using var command = rig.Database.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }
}
