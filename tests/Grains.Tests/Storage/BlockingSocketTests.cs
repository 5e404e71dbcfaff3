using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>The connection that an own thread commits over. A round trip that is not over when its call returns would show that its socket
/// does not block.</summary>
[EachPostgres]
public sealed class BlockingSocketTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static TimeSpan Limit => TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_round_trip_ends_before_its_call_returns()
    {
        await using var store = new Store(database.ConnectionString);
        using var own = new Caller(store.Database);
        await own.CallAsync("select 1"); // The connection opens without blocking.
        Assert.Equal(BlockingSocket.IsPossible, (await own.CallAsync("select pg_sleep(0.2)")).AtOnce);
    }

    [Fact]
    public async Task A_lonely_step_after_the_other_is_answered_on_the_journal_s_own_thread()
    {
        await using var store = new Store(database.ConnectionString);
        var run = await store.StartAsync("own thread");
        var threads = new List<Thread>();
        var done = new TaskCompletionSource();
        Next(new CommitReply(CommitOutcome.Committed, default, 1));
        await done.Task.WaitAsync(Limit, TestContext.Current.CancellationToken);
        // Some may have met the thread before it was free.
        Assert.InRange(threads.Count(thread => thread.Name == "journal"), BlockingSocket.IsPossible ? 10 : 0, 20);

        void Next(CommitReply reply)
        {
            Assert.Equal(CommitOutcome.Committed, reply.Outcome);
            threads.Add(Thread.CurrentThread);
            if (threads.Count > 20)
            {
                done.SetResult();
            }
            else
            {
                store.Journal.Submit(Store.Entry(run, position: threads.Count - 1), Next);
            }
        }
    }

    [Fact]
    public async Task An_answer_that_blocks_holds_up_no_commit_that_it_brought()
    {
        await using var store = new Store(database.ConnectionString);
        var run = await store.StartAsync("blocks");
        using var second = new ManualResetEventSlim();
        var done = new TaskCompletionSource<bool>();
        store.Journal.Submit(Store.Entry(run), _ =>
        {
            store.Journal.Submit(Store.Entry(run, position: 1), _ => second.Set());
            done.SetResult(second.Wait(Limit));
        });
        Assert.True(await done.Task);
    }

    [Fact]
    public async Task A_round_trip_may_take_longer_than_a_connection_may_to_open()
    {
        await using var store = new Store(database.ConnectionString + ";Timeout=1");
        using var own = new Caller(store.Database);
        await own.CallAsync("select 1");
        Assert.Null((await own.CallAsync("select pg_sleep(2.5)")).Error);
    }

    [Fact]
    public async Task A_connection_that_the_server_ends_is_noticed_and_the_next_one_blocks_too()
    {
        await using var store = new Store(database.ConnectionString);
        using var own = new Caller(store.Database);
        await own.CallAsync("select 1");
        var cut = own.CallAsync("select pg_sleep(60)");
        while (await Store.ScalarAsync<long>(
            database.DataSource,
            $"select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'actors engine {store.Silo}' and "
                + $"wait_event = 'PgSleep'") == 0)
        {
        }

        Assert.IsAssignableFrom<NpgsqlException>((await cut).Error);
        await own.CallAsync("select 1");
        Assert.Equal(BlockingSocket.IsPossible, (await own.CallAsync("select pg_sleep(0.2)")).AtOnce);
    }

    [Fact]
    public async Task No_epoll_instance_has_the_socket()
    {
        if (!BlockingSocket.IsPossible)
        {
            return;
        }

        await using var source = NpgsqlDataSource.Create(database.ConnectionString + ";Pooling=false");
        await using var connection = await source.OpenConnectionAsync(TestContext.Current.CancellationToken);
        var socket = (int)BlockingSocket.HandleOf(connection).DangerousGetHandle();
        Assert.Contains(socket, Watched());
        Assert.True(BlockingSocket.TryMake(connection));
        Assert.DoesNotContain(socket, Watched());
        await using var command = connection.CreateCommand();
        command.CommandText = "select pg_sleep(0.2)";
        var call = command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        Assert.True(call.IsCompletedSuccessfully);
        await call;
    }

    /// <summary>The files that this process' epoll instances wait for (proc(5), fdinfo).</summary>
    private static List<int> Watched() =>
    [
        .. from epoll in BlockingSocket.Epolls()
           from line in File.ReadAllLines($"/proc/self/fdinfo/{epoll}")
           where line.StartsWith("tfd:", StringComparison.Ordinal)
           select int.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture),
    ];

    /// <summary>Commits one statement at a time, on an own thread.</summary>
    private sealed class Caller(EngineDatabase database) : IDisposable
    {
        private readonly OwnThread _own = new("test");

        public async Task<(bool AtOnce, Exception? Error)> CallAsync(string sql)
        {
            var done = new TaskCompletionSource<(bool, Exception?)>(TaskCreationOptions.RunContinuationsAsynchronously);
            Assert.True(SpinWait.SpinUntil(() => _own.TryRun(new Work(Call)), Limit));
            return await done.Task;

            async void Call()
            {
                var call = database.CommitGroupAsync(
                    batch => batch.BatchCommands.Add(new NpgsqlBatchCommand(sql)), reader => Task.FromResult(true)).AsTask();
                var atOnce = call.IsCompleted;
                try
                {
                    await call;
                    done.SetResult((atOnce, null));
                }
                catch (NpgsqlException error)
                {
                    done.SetResult((atOnce, error));
                }
            }
        }

        public void Dispose() => _own.Dispose();

        private sealed class Work(Action action) : IThreadPoolWorkItem
        {
            public void Execute() => action();
        }
    }
}
