using System.Data;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A commit whose answer never came: what is told is what the database did, and it is done once.</summary>
[EachPostgres]
public sealed class UnknownOutcomeTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private CutProxy _proxy = null!;
    private Store _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _proxy = new CutProxy(database.ConnectionString);
        _store = new Store(_proxy.ConnectionString + Store.LongLockWaits, slots: 1);
        await _store.RegisterAsync();
        await Store.ExecuteAsync(database.DataSource, "create table if not exists business (note text)");
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    public static TheoryData<Cut, string> Entries => new MatrixTheoryData<Cut,
    string>([Cut.Answer, Cut.Request], ["step", "release", "finish", "clear"]);

    [Theory]
    [MemberData(nameof(Entries))]
    public async Task An_entry_whose_answer_or_request_was_lost_commits_once(Cut cut, string kind)
    {
        var run = await _store.StartAsync($"{cut} {kind}");
        var entry = Store.Entry(run, rows: kind is "release" or "clear" ? 0 : 2);
        entry.Leaves = kind is "release" or "finish";
        entry.Status = kind == "finish" ? WorkflowStatus.Completed : WorkflowStatus.Running;
        if (kind == "clear")
        {
            await Store.ExecuteAsync(database.DataSource, $"select actors.send('default', '{cut} {kind}', 'm', 'mail', '1')");
            entry.ClearedLetters = ["m"];
        }
        else if (kind == "step")
        {
            entry.Outbox.Add(new OutgoingRow(1, "hook", "topic", "key", Store.Json("3")));
        }

        _store.BeforeNext("commit", () => _proxy.CutNextAsync(cut));
        var reply = await _store.CommitAsync(entry);

        Assert.Equal((CommitOutcome.Committed, 2), (reply.Outcome, reply.Epoch));
        Assert.Equal(1, _proxy.Cuts);
        var all = await Store.AllOfAsync(database.DataSource, run.Instance);
        Assert.Equal((entry.Rows.Count + 1, entry.Outbox.Count, 0), (Count(all, "journal"), Count(all, "outbox"), Count(all, "inbox")));
        var row = (await _store.Claims.ReadRunAsync(run.Id))!;
        Assert.Equal((entry.Status, entry.Next, entry.Leaves), (row.Status, row.Position, row.Owner is null));
        if (!entry.Leaves)
        {
            Assert.Equal(CommitOutcome.Committed, (await _store.CommitAsync(Store.Entry(run, reply.Epoch, entry.Next))).Outcome);
        }
    }

    /// <summary>As Npgsql throws when an answer is not what it expects: no NpgsqlException. The store has one lane, which must go
    /// on.</summary>
    [Fact]
    public async Task Whatever_a_look_at_the_outcome_meets_the_entry_is_answered_and_its_lane_goes_on()
    {
        var run = await _store.StartAsync("unexpected message");
        _store.BeforeNext("resolve", () =>
            throw new InvalidDataException("Received unexpected backend message DataRow. Please file a bug."));
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(Cut.Answer));
        var reply = await _store.CommitAsync(Store.Entry(run)).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        Assert.Equal(CommitOutcome.Committed, reply.Outcome);
        Assert.Equal(CommitOutcome.Committed,
            (await _store.CommitAsync(Store.Entry(run, reply.Epoch, 1)).WaitAsync(TimeSpan.FromSeconds(30), Cancel)).Outcome);
    }

    [Theory]
    [InlineData(Cut.Answer)]
    [InlineData(Cut.Request)]
    public async Task A_start_whose_answer_or_request_was_lost_makes_one_run(Cut cut)
    {
        var start = await _store.NewStartAsync($"start {cut}");
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(cut));
        Assert.Equal(CommitOutcome.Committed, (await _store.Journal.StartAsync(start)).Outcome);
        var loaded = (await _store.Claims.ReadAsync(start.Id))!;
        Assert.Equal((start.Instance, 1), (loaded.Row.Instance, loaded.History.Count));
    }

    [Theory]
    [InlineData(Cut.Answer)]
    [InlineData(Cut.Request)]
    public async Task A_further_run_whose_answer_or_request_was_lost_is_made_once(Cut cut)
    {
        var first = await EndedAsync($"further {cut}");
        var second = await _store.NewStartAsync($"further {cut}") with { Retires = await _store.Claims.ReadRunAsync(first.Id) };
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(cut));
        Assert.Equal(CommitOutcome.Committed,
            (await _store.Journal.StartAsync(second).WaitAsync(TimeSpan.FromSeconds(20), Cancel)).Outcome);
        Assert.Equal(second.Instance, (await _store.Claims.ReadRunAsync(second.Id))!.Instance);
    }

    [Fact]
    public async Task Of_two_further_runs_that_come_together_one_is_made()
    {
        var first = await EndedAsync("two further");
        var held = _store.HoldNext("commit");
        var blocker = _store.StartAsync("blocker of two further");
        await held.UntilReachedAsync();
        var both = new[]
        {
            _store.Journal.StartAsync(await NewAsync()), _store.Journal.StartAsync(await NewAsync()),
        };
        held.Release();
        await blocker;
        var replies = await Task.WhenAll(both).WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        Assert.Equal([CommitOutcome.Committed, CommitOutcome.Fenced], replies.Select(reply => reply.Outcome).Order());
        Assert.Equal(2L, await Store.ScalarAsync<long>(
            database.DataSource, "select count(*) from actors.runs where id = 'two further'"));

        async Task<Start> NewAsync() =>
            await _store.NewStartAsync("two further") with { Retires = await _store.Claims.ReadRunAsync(first.Id) };
    }

    [Fact]
    public async Task Every_member_of_a_group_is_answered_once_with_the_truth()
    {
        var runs = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => _store.StartAsync($"group {i}")));
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(Cut.Answer));
        _store.BeforeNext("resolve", () => _proxy.CutNextAsync(Cut.Answer));
        var replies = await Task.WhenAll(runs.Select(run => _store.CommitAsync(Store.Entry(run))));
        Assert.Equal(2, _proxy.Cuts);
        Assert.All(replies, reply => Assert.Equal(CommitOutcome.Committed, reply.Outcome));
        var again = await Task.WhenAll(runs.Zip(replies, (run, reply) => _store.CommitAsync(Store.Entry(run, reply.Epoch, position: 1))));
        Assert.All(again, reply => Assert.Equal(CommitOutcome.Committed, reply.Outcome));
    }

    [Theory]
    [InlineData("commit transaction", Cut.Answer, "Committed")]
    [InlineData("commit transaction", Cut.Request, "Unmoved")]
    public async Task A_transaction_tells_what_became_of_it(string statement, Cut cut, string outcome)
    {
        var id = $"{statement} {cut}";
        var run = await _store.StartAsync(id);
        var entry = Store.Entry(run);
        _store.BeforeNext(statement, () => _proxy.CutNextAsync(cut));
        var reply = await TransactionAsync(entry, id);
        Assert.Equal(outcome, reply.Outcome.ToString());
        Assert.Equal(outcome == "Committed" ? 1 : 0, await BusinessAsync(id));

        var position = outcome == "Committed" ? 1 : 0;
        Assert.Equal(CommitOutcome.Committed, (await TransactionAsync(Store.Entry(run, reply.Epoch, position), id)).Outcome);
        Assert.Equal(position + 1, await BusinessAsync(id));
    }

    /// <summary>So Postgres says that a synchronous standby may lack what it committed.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_that_came_with_a_warning_is_asked_about_and_counts_once(bool transaction)
    {
        var run = await _store.StartAsync($"warned {transaction}");
        await Store.ExecuteAsync(database.DataSource, """
            create function warn() returns trigger language plpgsql as $$ begin raise warning 'canceling wait'; return null; end $$;
            create constraint trigger warn after insert on actors.journal deferrable initially deferred for each row execute function warn();
            """);
        try
        {
            var entry = Store.Entry(run);
            var reply = transaction ? await TransactionAsync(entry, "warned") : await _store.CommitAsync(entry);
            // Raised by a write that waited for the standby again.
            Assert.Equal((CommitOutcome.Committed, 2), (reply.Outcome, reply.Epoch));
            Assert.Equal(1, (await _store.Claims.ReadRunAsync(run.Id))!.Position);
        }
        finally
        {
            await Store.ExecuteAsync(database.DataSource, "drop function warn() cascade");
        }
    }

    [Theory]
    [InlineData("before")]
    [InlineData("during")]
    public async Task A_backend_that_is_terminated_costs_nothing_but_time(string when)
    {
        var run = await _store.StartAsync($"terminated {when}");
        NpgsqlConnection? blocker = when == "during"
            ? await LockAsync($"select from actors.runs where instance = {run.Instance} for update") : null;
        if (when == "before")
        {
            _store.BeforeNext("commit", () => TerminateAsync("true"));
        }

        var commit = _store.CommitAsync(Store.Entry(run));
        if (blocker is not null)
        {
            await Store.UntilBlockedAsync(database.DataSource, $"actors engine {_store.Silo}");
            await TerminateAsync("cardinality(pg_blocking_pids(pid)) > 0");
            await blocker.DisposeAsync();
        }

        var reply = await commit;
        Assert.Equal((CommitOutcome.Committed, 2), (reply.Outcome, reply.Epoch));
        Assert.Equal(2L, await Store.ScalarAsync<long>(
            database.DataSource, $"select count(*) from actors.journal where instance = {run.Instance}"));
    }

    [Fact]
    public async Task A_backend_without_a_master_cannot_commit_after_its_entry_was_resolved()
    {
        var run = await _store.StartAsync("zombie");
        await Store.ExecuteAsync(database.DataSource, "select actors.send('default', 'zombie', 'm', 'mail', '1')");
        await using var blocker = await LockAsync($"select from actors.inbox where workflow = {run.Workflow} for update");
        var entry = Store.Entry(run);
        entry.ClearedLetters = ["m"];
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(Cut.Client));
        var commit = _store.CommitAsync(entry);

        // The old backend and the one of the second try wait for the letter, the old one first; the epoch is raised meanwhile.
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {_store.Silo}", backends: 2);
        Assert.Contains("resolve", _store.RoundTrips);
        await blocker.DisposeAsync();

        var reply = await commit;
        Assert.Equal((CommitOutcome.Committed, 2), (reply.Outcome, reply.Epoch));
        Assert.Equal(2, (await _store.Claims.ReadAsync(run.Id))!.History.Count);
        Assert.Equal(CommitOutcome.Committed, (await _store.CommitAsync(Store.Entry(run, 2, 1))).Outcome);
    }

    [Fact]
    public async Task A_backend_without_a_master_that_commits_before_it_is_resolved_has_committed()
    {
        var run = await _store.StartAsync("late");
        await using var blocker = await LockAsync($"select from actors.runs where instance = {run.Instance} for update");
        _store.BeforeNext("commit", () => _proxy.CutNextAsync(Cut.Client));
        var before = _store.RoundTrips.Count();
        var resolving = _store.HoldNext("resolve");
        var commit = _store.CommitAsync(Store.Entry(run));
        // Else it may come to the lock behind who resolves it.
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {_store.Silo}");
        resolving.Release();
        await Store.UntilBlockedAsync(database.DataSource, $"actors patient {_store.Silo}");
        await blocker.DisposeAsync();

        Assert.Equal((CommitOutcome.Committed, 2), ((await commit).Outcome, (await commit).Epoch));
        Assert.Equal(["commit", "resolve"], _store.RoundTrips.Skip(before));
        Assert.Equal(2, (await _store.Claims.ReadAsync(run.Id))!.History.Count);
    }

    private static int Count(string all, string table) => all.Split('\n').Count(line => line.StartsWith(table, StringComparison.Ordinal));

    private async Task<Start> EndedAsync(string id)
    {
        var run = await _store.StartAsync(id);
        var entry = Store.Entry(run);
        (entry.Status, entry.Leaves) = (WorkflowStatus.Completed, true);
        await _store.CommitAsync(entry);
        return run;
    }

    private async Task<int> BusinessAsync(string note) =>
        (int)await Store.ScalarAsync<long>(database.DataSource, $"select count(*) from business where note = '{note}'");

    private async Task<CommitReply> TransactionAsync(Entry entry, string note)
    {
        await using var transaction = await TransactionCommit.BeginAsync(
            _store.Database, _store.Journal, IsolationLevel.ReadCommitted, Cancel);
        await using var insert = new NpgsqlCommand($"insert into business values ('{note}')", transaction.Connection);
        await insert.ExecuteNonQueryAsync(Cancel);
        return await transaction.CommitAsync(entry);
    }

    private Task TerminateAsync(string condition) => Store.ExecuteAsync(database.DataSource, $"""
        select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'actors engine {_store.Silo}' and {condition}
        """);

    private async Task<NpgsqlConnection> LockAsync(string sql)
    {
        var connection = new NpgsqlConnection(database.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand("begin; " + sql, connection);
        await command.ExecuteNonQueryAsync(Cancel);
        return connection;
    }
}
