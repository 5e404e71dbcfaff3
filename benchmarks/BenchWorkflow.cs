using System.Collections.Concurrent;
using System.Diagnostics;

namespace Actors.Benchmarks;

public sealed record StepResult(string Text);

public interface ITenSteps : IWorkflow<int, int>;

/// <summary>Ten steps with results of 200 bytes, each with one message for the outbox. Times its own steps.</summary>
public sealed class TenSteps : Workflow<int, int>, ITenSteps
{
    public const int Steps = 10;
    private static readonly StepResult Result = new(new string('x', 188));

    /// <summary>Ticks of every step since it was last cleared.</summary>
    public static ConcurrentBag<long> StepTicks { get; set; } = [];

    protected override async Task<int> RunAsync(int input)
    {
        for (var i = 0; i < Steps; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await Step("step", step =>
            {
                step.Publish("bench", $"customer-{input % 1000}", i);
                return Task.FromResult(Result);
            });
            StepTicks.Add(Stopwatch.GetTimestamp() - began);
        }

        return input;
    }
}

public interface IOneStep : IWorkflow<int, int>;

/// <summary>One small step and the end.</summary>
public sealed class OneStep : Workflow<int, int>, IOneStep
{
    protected override async Task<int> RunAsync(int input) => await Step("step", _ => Task.FromResult(input));
}
