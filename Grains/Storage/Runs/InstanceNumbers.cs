using Npgsql;

namespace Actors.Storage;

/// <summary>Numbers for new runs, in the order of time by the database's clock: a block of them in one round trip, used for a second at
/// most. Gaps are normal. A number may be given out twice after the clock went back: the start that meets another run under it takes the
/// next one.</summary>
/// <param name="time">Its monotonic part alone.</param>
internal sealed class InstanceNumbers(EngineDatabase database, TimeProvider time) : IDisposable
{
    private const int Block = 1024;
    private static readonly TimeSpan BlockLife = TimeSpan.FromSeconds(1);
    private static readonly string TakeInstances = SqlText.Get("take_instances");

    private readonly SemaphoreSlim _refill = new(1);
    private readonly Lock _lock = new();
    private long _next;
    private long _end;
    private long _since;

    public async ValueTask<long> TakeAsync()
    {
        while (true)
        {
            if (Next() is { } number)
            {
                return number;
            }

            await _refill.WaitAsync();
            try
            {
                if (Next() is { } one)
                {
                    return one;
                }

                var asked = time.GetTimestamp(); // Before the database's answer: a second from then is less than one after it.
                var first = await database.QueryAsync(
                    database.Engine,
                    "take instances",
                    batch => batch.Add(TakeInstances),
                    async reader => await reader.ReadAsync() ? reader.GetInt64(0) : throw new NpgsqlException("No number for a new run."));
                lock (_lock)
                {
                    (_next, _end, _since) = (first, first + Block, asked);
                }
            }
            finally
            {
                _refill.Release();
            }
        }
    }

    /// <summary>Another run has a number of this block: the rest of it is not used.</summary>
    public void Skip()
    {
        lock (_lock)
        {
            _end = _next;
        }
    }

    private long? Next()
    {
        lock (_lock)
        {
            return _next < _end && time.GetElapsedTime(_since) < BlockLife ? _next++ : null;
        }
    }

    public void Dispose() => _refill.Dispose();
}
