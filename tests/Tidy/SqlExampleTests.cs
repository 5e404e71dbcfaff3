using System.Text.RegularExpressions;
using Actors.Support;
using Xunit;

namespace Actors.Tidy;

/// <summary>
/// Every SQL example of the documents runs on a real database that holds a run, a message and a dead letter, in the order of the text. A
/// row comes from each select, and its first value says something. Of what a reader fills in, <c>instance = …</c> becomes the run that was
/// set aside; in JSON the … may stand.
/// </summary>
public sealed partial class SqlExampleTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    public static TheoryData<string> Documents =>
        [.. DocumentTests.Documents.Where(document => SqlPattern().IsMatch(Repository.Text(document.Data))).Select(
        document => document.Data)];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Every_example_runs_and_shows_what_it_says(string document)
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, actors => actors.AddWorkflow<Forgetful>());
        await engine.StartWorkflowAsync("set aside", nameof(Forgetful), 0);
        await Assert.ThrowsAsync<WorkflowSetAsideException>(() => engine.ResultAsync<int>("set aside"));
        var instance = await ScalarAsync("select instance from actors.runs where id = 'set aside'");

        await ScalarAsync($"insert into actors.inbox (workflow, at, code, state, message_id, name, reason) values ({instance}, "
            + $"now(), 1, 1, 'm', 'Ship', 'late') on conflict do nothing");
        await ScalarAsync($"insert into actors.waits (instance, at, seq, kind, name) values ({instance}, now(), 1, 0, 'paid') "
            + "on conflict do nothing");
        await ScalarAsync(
            "insert into actors.dead_letters (id, instance, at, died_at, ordinal, attempts, destination, topic, key, reason) "
            + $"values (1, {instance}, now(), now(), 1, 16, 'shop', 'orders', '', '503') on conflict do nothing");

        var examples = SqlPattern().Matches(Repository.Text(document)).SelectMany(
            block => StatementPattern().Matches(block.Groups[1].Value)).Select(match => match.Value.Trim());
        foreach (var example in examples)
        {
            var value = await ScalarAsync(example.Replace("instance = …", $"instance = {instance}", StringComparison.Ordinal));
            Assert.True(!example.StartsWith("select", StringComparison.Ordinal)
                || value is not (null or DBNull or false), $"{document}: shows nothing: {example}");
        }
    }

    private async Task<object?> ScalarAsync(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return await command.ExecuteScalarAsync(Cancel);
    }

    [GeneratedRegex(@"^```sql\n(.*?)^```", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex SqlPattern();

    [GeneratedRegex(@"^\w.*?;", RegexOptions.Singleline | RegexOptions.Multiline)]
    private static partial Regex StatementPattern();

    public sealed class Forgetful : Workflow<int, int>
    {
        protected override Task<int> RunAsync(int input)
        {
            _ = Step("forgotten", _ => Task.Delay(Timeout.Infinite, Cancel));
            return Task.FromResult(input);
        }
    }
}
