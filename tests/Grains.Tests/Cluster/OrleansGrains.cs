using Orleans;
using Orleans.Runtime;

namespace Actors.Grains.Tests.Cluster;

public interface INotes : IGrainWithStringKey
{
    Task<string?> ReadAsync();
    Task WriteAsync(string text);
    Task ClearAsync();
    Task<int> RemindAsync(string reminder);
    Task ForgetAsync(string reminder);
}

public sealed class Notes([PersistentState("notes")] IPersistentState<Note> note) : Grain, INotes, IRemindable
{
    public async Task<string?> ReadAsync()
    {
        await note.ReadStateAsync();
        return note.RecordExists ? note.State.Text : null;
    }

    public Task WriteAsync(string text)
    {
        note.State.Text = text;
        return note.WriteStateAsync();
    }

    public Task ClearAsync() => note.ClearStateAsync();

    public async Task<int> RemindAsync(string reminder)
    {
        await this.RegisterOrUpdateReminder(reminder, TimeSpan.FromDays(60), TimeSpan.FromDays(30));
        return (await this.GetReminders()).Count;
    }

    public async Task ForgetAsync(string reminder) => await this.UnregisterReminder((await this.GetReminder(reminder))!);

    public Task ReceiveReminder(string reminderName, TickStatus status) => Task.CompletedTask;
}

[GenerateSerializer]
public sealed class Note
{
    [Id(0)]
    public string Text { get; set; } = "";
}
