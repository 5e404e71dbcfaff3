namespace Actors.Faults;

public interface IBulky : IWorkflow<int, int>
{
    [Signal]
    Task Go();
}

/// <summary>Makes a history of so many pieces of 60 KB, waits to be told to go on, and ends: much to load, and little to do.</summary>
public sealed class Bulky : Workflow<int, int>, IBulky
{
    private bool _told;

    public Task Go()
    {
        _told = true;
        return Task.CompletedTask;
    }

    protected override async Task<int> RunAsync(int input)
    {
        var total = 0;
        for (var i = 0; i < input; i++)
        {
            total += (await Step("piece", _ => Task.FromResult(new string('x', 60_000)))).Length;
        }

        await WaitUntil(() => _told);
        return total;
    }
}
