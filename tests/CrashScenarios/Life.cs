using System.Globalization;
using Actors.Storage;
using Npgsql;

namespace Actors.CrashScenarios;

/// <summary>
/// What a scene does for others to see passes here: its round trips to Postgres and its effects outside. When its life is over, just before
/// or just after a round trip, nothing passes any more, and the server ends its sessions, as it does when a process is gone. What is left
/// of the scene in this process waits for ever.
/// </summary>
internal sealed class Life
{
    private static readonly Task Never = new TaskCompletionSource().Task;

    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _connectionString = "";
    private bool _ends;
    private int _outside;
    private Action? _quiet;

    /// <summary>One that comes to its own end.</summary>
    public Life() => Probe = new StatementProbe(Environment.GetEnvironmentVariable(StatementProbe.Variable));

    /// <param name="at"><c>before:k</c> or <c>after:k</c>: the k-th round trip that begins, or that was answered.</param>
    public Life(string at, string connectionString)
    {
        var (isBefore, left) = (
            at.StartsWith("before:", StringComparison.Ordinal), long.Parse(at.Split(':')[1], CultureInfo.InvariantCulture));
        _connectionString = connectionString;
        Probe = new StatementProbe { Before = _ => PassAsync(isBefore), After = _ => PassAsync(!isBefore) };

        Task PassAsync(bool counts) =>
            counts && Interlocked.Decrement(ref left) == 0 ? EndAsync() : Volatile.Read(ref _ends) ? Never : Task.CompletedTask;
    }

    public StatementProbe Probe { get; }

    /// <summary>For an answer. Asking again sweeps, which costs round trips: what is counted asks late.</summary>
    public TimeSpan AskAgainAfter { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Completes when it is over, and the server knows.</summary>
    public Task Over => _over.Task;

    /// <summary>An effect outside of the engine: it is done, or never begins.</summary>
    public async Task<T> OutsideAsync<T>(Func<Task<T>> effect)
    {
        bool over;
        lock (_gate)
        {
            over = _ends;
            _outside += over ? 0 : 1;
        }

        await (over ? Never : Task.CompletedTask);
        try
        {
            return await effect();
        }
        finally
        {
            lock (_gate)
            {
                _outside--;
                _quiet?.Invoke();
            }
        }
    }

    private async Task EndAsync()
    {
        var quiet = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _ends = true;
            _quiet = () => _ = _outside == 0 && quiet.TrySetResult();
            _quiet();
        }

        await quiet.Task;
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(_connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var end = new NpgsqlCommand(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
            connection);
        await end.ExecuteNonQueryAsync();
        _over.SetResult();
        await Never;
    }
}
