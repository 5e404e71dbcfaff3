using Npgsql;

namespace Actors.Storage;

/// <summary>Numbers for new runs, a thousand in one round trip. A number is never given out twice, by anyone; gaps are normal.</summary>
internal sealed class InstanceNumbers(EngineDatabase database) : IDisposable
{
    private const int Block = 1000;
    private static readonly string TakeInstances = SqlText.Get("take_instances");

    private readonly SemaphoreSlim _refill = new(1);
    private readonly Lock _lock = new();
    private long _next;
    private long _end;

    public async ValueTask<long> TakeAsync()
    {
        while (true)
        {
            lock (_lock)
            {
                if (_next < _end)
                {
                    return _next++;
                }
            }

            await _refill.WaitAsync();
            try
            {
                if (_next < _end)
                {
                    continue;
                }

                var first = await database.QueryAsync(
                    database.Engine,
                    "take instances",
                    batch => batch.Add(TakeInstances),
                    async reader => await reader.ReadAsync() ? reader.GetInt64(0) : throw new NpgsqlException("No number for a new run."));
                lock (_lock)
                {
                    (_next, _end) = (first, first + Block);
                }
            }
            finally
            {
                _refill.Release();
            }
        }
    }

    public void Dispose() => _refill.Dispose();
}
