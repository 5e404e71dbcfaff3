using System.Diagnostics;
using Actors.Support;
using Xunit;

namespace Actors.Processes;

/// <summary>
/// The campaign that <c>./faults</c> runs, on real processes, with every check: three minutes with start and checks of what one seed begins
/// with, some twenty kinds.
/// </summary>
[OnlyInAll]
public sealed class CampaignTests(ITestOutputHelper output)
{
    private const int Missing = 3;

    [Fact]
    public async Task Faults_from_a_seed_make_no_difference()
    {
        var start = new ProcessStartInfo(
            BuiltProgram.Faults, ["--seed", "1", "--minutes", "2.5"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ACTORS_ROOT"] = TestPostgres.RepositoryFolder;
        using var campaign = Process.Start(start)!;
        var (said, complained) = (
            campaign.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken),
            campaign.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
        try
        {
            await campaign.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(
                TimeSpan.FromMinutes(10), TestContext.Current.CancellationToken);
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
