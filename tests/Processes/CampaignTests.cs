using System.Diagnostics;
using Actors.Support;
using Xunit;

namespace Actors.Processes;

/// <summary>
/// The campaign that <c>./faults</c> runs, on real processes, with every check: a minute of faults that stand in a file, or, where
/// everything is
/// asked for, three minutes with start and checks of what one seed begins with, some twenty kinds.
/// </summary>
public sealed class CampaignTests(ITestOutputHelper output)
{
    private const int Missing = 3;

    [Fact]
    public async Task Faults_from_a_seed_make_no_difference()
    {
        string[] faults = TestTier.IsAll ? ["--minutes", "2.5"] : ["--schedule", Path.Combine(TestPostgres.RepositoryFolder, "tests", "Processes", "minute.schedule")];
        var start = new ProcessStartInfo(BuiltProgram.Faults, ["--seed", "1", .. faults]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ACTORS_ROOT"] = TestPostgres.RepositoryFolder;
        using var campaign = Process.Start(start)!;
        var (said, complained) = (campaign.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), campaign.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        try
        {
            await campaign.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(10), TestContext.Current.CancellationToken);
        }
        finally
        {
            if (!campaign.HasExited)
            {
                campaign.Kill(entireProcessTree: true);
            }
        }

        var text = await said + await complained;
        output.WriteLine(text);
        Assert.SkipWhen(campaign.ExitCode == Missing, text);
        Assert.True(campaign.ExitCode == 0, text);
    }
}
