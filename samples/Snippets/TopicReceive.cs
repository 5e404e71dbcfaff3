namespace Actors.Snippets;

public sealed record Vote(string Voter, bool Yes);

public interface IBallot : IWorkflow<int, bool>;

#region topic
public sealed class Ballot : Workflow<int, bool>, IBallot
{
    protected override async Task<bool> RunAsync(int voters)
    {
        var yes = 0;
        for (var counted = 0; counted < voters; counted++)
        {
            yes += (await Receive<Vote>("votes")).Yes ? 1 : 0;      // each message once, in the order of the journal
        }

        return yes * 2 > voters;
    }
}
#endregion

public static class Voting
{
    #region topic-send
    public static Task VoteAsync(IWorkflowClient workflows, Vote vote) =>
        workflows.Get<IBallot>("budget").SendAsync("votes", vote, messageId: vote.Voter);     // a voter counts once
    #endregion
}
