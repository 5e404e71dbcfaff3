namespace Actors.Faults;

/// <summary>What is done to silos' processes.</summary>
internal sealed partial class Nemesis
{
    private async Task KillAsync(int count)
    {
        var silos = Some(count);
        foreach (var silo in silos)
        {
            silo.IsHeldDown = true;
            silo.Measure();
            silo.Process.Kill();
        }

        await Task.Delay(_random.Next(0, 2000));
        foreach (var silo in silos)
        {
            silo.IsHeldDown = false;
        }
    }

    private async Task FreezeAsync(int leastMs, int mostMs)
    {
        var silo = Some(1)[0];
        silo.Process.Signal("STOP");
        await Task.Delay(_random.Next(leastMs, mostMs));
        silo.Process.Signal("CONT");
    }

    private Task TerminateAsync() => EndAsync(Some(1)[0]);

    /// <summary>As a deployment does: one after the other, each when its predecessor's successor is ready.</summary>
    private async Task RollingRestartAsync()
    {
        foreach (var silo in rig.Silos)
        {
            var old = silo.Process;
            await EndAsync(silo);
            while (silo.Process == old)
            {
                await Task.Delay(50); // The supervisor starts the next one.
            }

            await silo.Process.ReadyAsync();
        }
    }

    private static async Task EndAsync(SiloSlot silo)
    {
        var process = silo.Process;
        silo.Measure();
        process.Signal("TERM");
        await process.ExitedAsync();
    }

    private async Task TwinAsync()
    {
        using var twin = rig.StartTwin(Some(1)[0]);
        await Task.WhenAny(twin.ReadyAsync(), Task.Delay(TimeSpan.FromSeconds(20)));
        await Task.Delay(_random.Next(500, 3000));
    }

    /// <summary>Every thread of a silo's pool blocks, and those that the pool adds: user code that waits where it must not.</summary>
    private async Task TakeThreadsAsync()
    {
        var duration = _random.Next(500, 8000);
        Some(1)[0].Process.Tell($"{FaultSilo.TakeThreads} {duration}");
        await Task.Delay(duration);
    }

    /// <summary>A silo's heap is full, and whatever runs in it finds no memory; then it is given back.</summary>
    private async Task TakeMemoryAsync()
    {
        var silo = Some(1)[0];
        silo.Measure();
        var duration = _random.Next(500, 6000);
        silo.HasNoMemory = true;
        silo.Process.Tell($"{FaultSilo.TakeMemory} {duration}");
        await Task.Delay(duration + 500);
        silo.Process.ForgetPeak();
    }

    private async Task ClockAsync(TimeSpan ahead)
    {
        var silo = Some(1)[0].Process;
        silo.Tell($"{FaultSilo.SetClock} {ahead.TotalSeconds}");
        await Task.Delay(_random.Next(1000, 6000));
        silo.Tell($"{FaultSilo.SetClock} 0");
    }

    private async Task ClockJumpsAsync()
    {
        var silo = Some(1)[0].Process;
        for (var i = 0; i < 10; i++)
        {
            silo.Tell($"{FaultSilo.SetClock} {_random.Next(-3600, 3600)}");
            await Task.Delay(_random.Next(50, 800));
        }

        silo.Tell($"{FaultSilo.SetClock} 0");
    }

    /// <summary>In each silo callers under transaction scopes that are never completed; the load takes over what they were told.</summary>
    private async Task CallInScopesAsync()
    {
        foreach (var silo in rig.Silos)
        {
            var round = _random.Next(1, int.MaxValue);
            silo.Process.Tell($"{FaultSilo.CallInScopes} {round}");
            foreach (var (id, isSignalled) in await ScopedCallers.ToldAsync(rig.EffectsFile, round, TimeSpan.FromSeconds(40)))
            {
                load.TakeOver(id, isSignalled);
            }
        }
    }

    /// <summary>Two silos bring workflows to memory that a third one has, again and again, and do not ask it: each has them twice until
    /// their owner learns of it.</summary>
    private async Task TwoActivationsAsync()
    {
        for (var i = 0; i < 5; i++)
        {
            foreach (var silo in Some(2))
            {
                silo.Process.Tell($"{FaultSilo.Activate} {_random.Next(5, 20)}");
            }

            await Task.Delay(_random.Next(200, 1500));
        }
    }
}
