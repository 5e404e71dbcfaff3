using System.Globalization;
using Actors.Storage;

namespace Actors.Execution;

/// <summary>Why a run does not get on, for people: the same words in answers, views and logs.</summary>
internal static class Sentences
{
    public static string NoVersion(StoredRun row) =>
        $"Workflow '{row.Id}' is a {row.Type} of version '{row.Version}', which this silo does not have.";

    public static string NoSilo(StoredRun row) => row.Version.Length == 0
        ? $"No silo that lives has the workflow type {row.Type}."
        : $"No silo that lives has version '{row.Version}' of the workflow type {row.Type}.";

    public static string LeftAlone(WorkflowId id) =>
        $"Workflow '{id}' holds what only a later build understands: a silo of that build goes on with it.";

    public static string NotBegun(StoredRun row) =>
        $"Workflow '{row.Id}' has not begun: it begins at {Time(row.BeginsAt ?? row.CreatedAt)}.";

    /// <param name="failures">Of the attempts so far, and what the last one said.</param>
    public static string Waits(WaitRow wait, (int Count, string Last)? failures = null)
    {
        var until = wait.Until is { } due ? Time(due) : null;
        var what = wait.Kind switch
        {
            WaitingFor.Condition => $"waits until {wait.Name}{(until is null ? "" : $", or {until}")}",
            WaitingFor.Message => $"waits for a message of topic '{wait.Name}'",
            WaitingFor.Sleep => $"sleeps until {until}",
            WaitingFor.Attempt when failures is { } failed =>
                $"attempt {failed.Count + 1} of '{wait.Name}' at {until}, last error: {failed.Last}",
            WaitingFor.Body when failures is { } failed => $"runs attempt {failed.Count + 1} of '{wait.Name}', last error: {failed.Last}",
            WaitingFor.Body => $"runs '{wait.Name}'",
            WaitingFor.Attempt => $"the next attempt of '{wait.Name}' at {until}",
            _ => $"waits for a silo that knows {wait.Name}",
        };
        return wait.Others == 0 ? what : $"{what}; and {wait.Others} more";
    }

    private static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString(time.Second == 0 ? "d MMM yyyy HH:mm 'UTC'" : "d MMM yyyy HH:mm:ss 'UTC'", CultureInfo.InvariantCulture);
}
