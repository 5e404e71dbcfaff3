using System.Text.RegularExpressions;
using Xunit;

namespace Actors.Tidy;

/// <summary>One word for a thing: names that were given up do not come back.</summary>
public sealed class WordTests
{
    /// <summary>Identifiers, and what the thing is called now. English words are free.</summary>
    private static readonly Dictionary<string, string> Retired = new()
    {
        ["WorkflowInstance"] = "ResidentRun",
        ["WorkflowCode"] = "WorkflowProgram, by IProgram",
        ["TransactionOutcome"] = "CommitOutcome",
        ["TransactionReply"] = "CommitReply",
        ["Mailbox"] = "the workflow's grain, or a run's WorkQueue",
        ["Mailboxes"] = "GrainRoute",
        ["Grouping"] = "GroupQueue (what goes together) and SlotRunner (on which thread)",
        ["JournalLanes"] = "CommitSlots",
        ["GroupBatch"] = "CommitBatch",
        ["StartRequest"] = "StartCall",
        ["SignalRequest"] = "SignalCall",
        ["QueryRequest"] = "QueryCall",
        ["ResultRequest"] = "ResultCall",
        ["CheckMail"] = "CheckInbox",
        ["Nudge"] = "Wake, WakeSignal",
        ["NudgeAsync"] = "WakeAsync",
        ["MailRow"] = "LetterRow",
        ["ReadMailAsync"] = "ReadLettersAsync",
        ["MailMax"] = "LettersMax",
        ["read_mail"] = "read_letters.sql",
        ["LookAsync"] = "ReadRunAsync, CheckAsync",
        ["OutboxLook"] = "OutboxPending",
        ["Hear"] = "Observe",
        ["Settle"] = "Complete",
        ["SettleAsync"] = "CompletePartAsync",
    };

    [Fact]
    public void Retired_names_stay_away()
    {
        var pattern = new Regex($@"\b({string.Join('|', Retired.Keys)})\b");
        var found = Repository.Files(".cs").Concat(Repository.Files(".sql")).Concat(Repository.Files(".md"))
            .Where(file => !file.EndsWith("WordTests.cs", StringComparison.Ordinal)
                && !file.StartsWith("benchmarks/results/", StringComparison.Ordinal))
            .SelectMany(file => pattern.Matches(Repository.Text(file)).Select(match => $"{file}: {match.Value} is {Retired[match.Value]}"));
        Assert.Empty(found);
    }
}
