using System.Text.RegularExpressions;
using Xunit;

namespace Actors.Tidy;

/// <summary>Who may see whom, and where SQL, Npgsql and Orleans may appear.</summary>
public sealed partial class RoomTests
{
    /// <summary>Folder of Grains: the other rooms of Grains that it may name.</summary>
    private static readonly Dictionary<string, string[]> MaySee = new()
    {
        ["Authoring"] = [],
        ["Storage"] = [],
        ["Programs"] = ["Storage"],
        ["Execution"] = ["Storage", "Programs"],
        ["Outbox"] = ["Storage"],
        ["Housekeeping"] = ["Storage"],
        ["Cluster"] = ["Storage", "Programs", "Execution", "Outbox", "Housekeeping"],
        ["Hosting"] = ["Storage", "Programs", "Execution", "Outbox", "Housekeeping", "Cluster"],
    };

    [Fact]
    public void Rooms_see_only_whom_they_may()
    {
        var broken = Repository.Files(".cs", "Grains").SelectMany(file =>
        {
            var room = file.Split('/')[1];
            return UsingPattern().Matches(Repository.Text(file)).Select(match => match.Groups[1].Value)
                .Where(seen => MaySee.ContainsKey(seen) && seen != room && !MaySee[room].Contains(seen))
                .Select(seen => $"{file} uses {seen}");
        });
        Assert.Empty(broken);
    }

    [Fact]
    public void Projects_see_only_whom_they_may()
    {
        var allowed = new Dictionary<string, string[]>
        {
            ["Grains.Interfaces/Grains.Interfaces.csproj"] = [],
            ["Grains/Grains.csproj"] = ["Grains.Interfaces"],
            ["Client/Client.csproj"] = ["Grains.Interfaces"],
            ["Silo/Silo.csproj"] = ["Grains"],
            ["Postgres/Postgres.csproj"] = [],
        };
        Assert.All(allowed, project => Assert.Equal(
            project.Value, ReferencePattern().Matches(Repository.Text(project.Key)).Select(match => match.Groups[1].Value)));
        var others = Repository.Files(".csproj").Where(file => !file.StartsWith("tests/", StringComparison.Ordinal));
        Assert.All(others, file => Assert.DoesNotContain("tests/", Repository.Text(file), StringComparison.Ordinal));
    }

    [Fact]
    public void Silo_and_samples_stand_on_public_API_alone()
    {
        var friends = Repository.Files(".csproj").SelectMany(file => FriendPattern().Matches(Repository.Text(file))
            .Select(match => (Of: file, Friend: match.Groups[1].Value))).ToList();
        Assert.NotEmpty(friends);
        Assert.DoesNotContain(friends, pair => pair.Friend is "Silo" or "Orders" or "Shop" or "ShopClient" or "Snippets");
    }

    [Fact]
    public void Orleans_is_known_to_the_cluster_the_hosting_and_the_wire_alone() => Assert.Empty(
        Repository.Files(".cs", "Grains/Authoring", "Grains/Programs", "Grains/Execution", "Grains/Storage", "Grains/Outbox",
            "Grains/Housekeeping")
            .Where(file => OrleansPattern().IsMatch(Repository.Text(file))));

    [Fact]
    public void Npgsql_is_known_to_storage_hosting_and_the_transaction_alone()
    {
        string[] known = ["Grains/Authoring/TransactionContext.cs"];
        Assert.Empty(Repository.Files(".cs", "Grains", "Grains.Interfaces").Except(known)
            .Where(file => !file.StartsWith("Grains/Storage/", StringComparison.Ordinal)
                && !file.StartsWith("Grains/Hosting/", StringComparison.Ordinal))
            .Where(file => NpgsqlPattern().IsMatch(Repository.Text(file))));
    }

    [Fact]
    public void Every_pool_and_connection_of_the_product_stays_out_of_its_callers_transactions()
    {
        var makers = Repository.Files(".cs", "Grains", "Grains.Interfaces", "Client", "Silo", "Postgres").Select(
            file => (File: file, Text: Repository.Text(file)))
            .Where(file => ConnectionPattern().IsMatch(file.Text)).ToList();
        Assert.All(makers, maker => Assert.True(
            ConnectionPattern().Count(maker.Text) == EnlistPattern().Count(maker.Text),
            $"{maker.File}: each pool and connection says Enlist=false"));
        Assert.NotEmpty(makers);
    }

    [Fact]
    public void Times_are_read_from_the_database_in_one_place() => Assert.Empty(
        Repository.Files(".cs", "Grains", "Client", "Silo", "samples").Where(file => file != "Grains/Storage/Runs/StoredRun.cs")
            .Where(file => TimeReadingPattern().IsMatch(Repository.Text(file))));

    [Fact]
    public void Sql_stands_in_files_of_one_statement_whose_first_lines_say_who_calls_it()
    {
        var files = Repository.Files(".sql", "Grains/Storage/Sql", "Grains.Interfaces").ToList();
        Assert.All(files, file => Assert.StartsWith("-- ", Repository.Text(file), StringComparison.Ordinal));
        Assert.All(files, file => Assert.DoesNotMatch(@";\s*\S", CommentPattern().Replace(Repository.Text(file), "")));
        Assert.Empty(Repository.Files(".cs", "Grains", "Grains.Interfaces", "Client", "Silo").Where(file => SqlPattern().IsMatch(Repository.Text(file))));
    }

    [Fact]
    public void Engine_code_reads_no_local_clock_and_no_chance_of_its_own() => Assert.Empty(
        Repository.Files(".cs", "Grains/Authoring", "Grains/Programs", "Grains/Execution", "Grains/Storage", "Grains/Housekeeping")
            .Where(file => file is not ("Grains/Execution/WorkflowEngine.cs" or "Grains/Execution/WorkflowEngine.Loading.cs"))
            .Where(file => BannedPattern().IsMatch(Repository.Text(file))));

    [Fact]
    public void Files_have_one_subject() => Assert.Empty(
        Repository.Files(".cs").Where(file => Repository.Text(file).Count(c => c == '\n') > 400).Select(
            file => $"{file} is long: does it mix subjects?"));

    [Fact]
    public void No_room_is_for_odds_and_ends() => Assert.Empty(
        Repository.Files(".cs").Where(file => file.Split('/').Any(part => part is "Common" or "Utils" or "Helpers" or "Models")));

    [GeneratedRegex(@"^using (?:static )?Actors\.(\w+)", RegexOptions.Multiline)]
    private static partial Regex UsingPattern();

    [GeneratedRegex(@"ProjectReference Include=""[^""]*/([\w.]+)\.csproj""")]
    private static partial Regex ReferencePattern();

    [GeneratedRegex(@"InternalsVisibleTo Include=""Actors\.([\w.]+)""")]
    private static partial Regex FriendPattern();

    [GeneratedRegex(@"using Orleans|\bSiloAddress\b|\bIGrainFactory\b|\bGrain\b\s*[,(]")]
    private static partial Regex OrleansPattern();

    [GeneratedRegex(@"using Npgsql|\bSqlText\.")]
    private static partial Regex NpgsqlPattern();

    [GeneratedRegex(@"^\s*--.*$", RegexOptions.Multiline)]
    private static partial Regex CommentPattern();

    [GeneratedRegex(@"""\s*(select|insert into|update \w+ set|delete from)\b", RegexOptions.IgnoreCase)]
    private static partial Regex SqlPattern();

    [GeneratedRegex(@"NpgsqlDataSource\.Create\(|new NpgsqlDataSourceBuilder\(|new NpgsqlConnection\(")]
    private static partial Regex ConnectionPattern();

    [GeneratedRegex(@"GetFieldValue(Async)?<DateTime|\.GetDateTime\(")]
    private static partial Regex TimeReadingPattern();

    [GeneratedRegex(@"Enlist ?= ?false")]
    private static partial Regex EnlistPattern();

    [GeneratedRegex(@"DateTime(Offset)?\.(Utc)?Now|Thread\.Sleep\((?!Timeout)|Random\.Shared|Guid\.NewGuid")]
    private static partial Regex BannedPattern();
}
