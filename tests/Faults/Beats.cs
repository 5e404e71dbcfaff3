using System.Diagnostics;
using Npgsql;

namespace Actors.Faults;

public interface IBeat : IWorkflow<string, int>
{
    [Signal]
    Task Stop();
}

/// <summary>Moves a few times each second until it is told to stop: what a fault holds up, and when it goes on, shows in its
/// journal.</summary>
public sealed class Beat : Workflow<string, int>, IBeat
{
    private bool _stopped;

    public Task Stop()
    {
        _stopped = true;
        return Task.CompletedTask;
    }

    protected override async Task<int> RunAsync(string input)
    {
        var beats = 0;
        for (; !_stopped; beats++)
        {
            await Step("beat", _ => Task.CompletedTask);
            await WaitUntil(() => _stopped, TimeSpan.FromMilliseconds(150));
        }

        return beats;
    }
}

/// <summary>Workflows that run while a fault is done to the system, on every silo some.</summary>
internal sealed class Beats(Rig rig, Load load)
{
    private const int Count = 12;

    private List<string> _ids = [];
    private int _times;

    /// <summary>Returns when each has moved.</summary>
    public async Task BeginAsync()
    {
        _times++;
        _ids = [.. Enumerable.Range(0, Count).Select(n => $"beat-{load.Name}-{_times}-{n}")];
        await EachAsync("start", (beat, _, stop) => beat.StartAsync("", cancellation: stop));
        await MovedAfterAsync(DateTime.UtcNow - TimeSpan.FromMinutes(1), TimeSpan.FromSeconds(30));
    }

    /// <summary>How long after this time the last of them moved for the first time. The database reckons by the same machine's
    /// clock.</summary>
    public async Task<TimeSpan> MovedAfterAsync(DateTime from, TimeSpan limit)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < limit; await Task.Delay(50))
        {
            try
            {
                await using var command = rig.Database.CreateCommand("""
                    select max(at) from (
                        select (select min(j.at) from actors.journal j where j.instance = w.instance and j.position > 0 and j.at > $2) as at
                        from actors.runs w where w.id = any ($1)) moved
                    having count(at) = cardinality($1)
                    """);
                command.Parameters.Add(new NpgsqlParameter { Value = _ids.ToArray() });
                command.Parameters.Add(new NpgsqlParameter { Value = from });
                if (await command.ExecuteScalarAsync() is DateTime at)
                {
                    return at - from;
                }
            }
            catch (NpgsqlException)
            {
                // Postgres is away.
            }
        }

        return TimeSpan.MaxValue;
    }

    /// <summary>Tells them to stop. That they end is for the checks.</summary>
    public Task EndAsync() => EachAsync("signal", (beat, id, stop) => beat.SignalAsync(w => w.Stop(), $"{id}-stop", stop));

    private async Task EachAsync(string what, Func<IWorkflowHandle<IBeat>, string, CancellationToken, Task> call)
    {
        var all = Task.WhenAll(_ids.Select(id => load.AcknowledgedAsync(what, id, stop => call(rig.Workflows.Get<IBeat>(id), id, stop))));
        await Task.WhenAny(all, Task.Delay(TimeSpan.FromSeconds(90))); // Who is called no longer than that is called on in the background.
    }
}
