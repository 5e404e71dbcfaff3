namespace Actors.Grains.Tests.Execution;

/// <summary>The process's time, so many times as fast: for what an engine does after seconds.</summary>
internal sealed class QuickTime(int factor) : TimeProvider
{
    private readonly long _began = System.GetTimestamp();

    public override long GetTimestamp() => _began + ((System.GetTimestamp() - _began) * factor);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        new Timer(System.CreateTimer(callback, state, Quick(dueTime), Quick(period)), this);

    private TimeSpan Quick(TimeSpan time) => time <= TimeSpan.Zero ? time : time / factor;

    private sealed class Timer(ITimer timer, QuickTime time) : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => timer.Change(time.Quick(dueTime), time.Quick(period));

        public void Dispose() => timer.Dispose();

        public ValueTask DisposeAsync() => timer.DisposeAsync();
    }
}
