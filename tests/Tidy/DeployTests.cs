using System.Globalization;
using System.Text.RegularExpressions;
using Actors.Support;
using Xunit;
using YamlDotNet.RepresentationModel;

namespace Actors.Tidy;

/// <summary>deploy/ speaks of the program that is there: its options, ports, variables, probes and times.</summary>
public sealed partial class DeployTests
{
    private static readonly string Help = Repository.Run(BuiltProgram.Orders, "silo", "--help");

    [Fact]
    public void Every_option_in_the_manifests_is_one_of_the_program()
    {
        var used = Repository.Files(".yaml", "deploy").Select(Repository.Text).SelectMany(text => OptionPattern().Matches(text)).Select(
            match => match.Value).Distinct().ToList();
        Assert.Contains("--migrate-only", used);
        Assert.All(used, option => Assert.Contains(option + " ", Help + " ", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("--silo-port", "11111")]
    [InlineData("--gateway-port", "30000")]
    [InlineData("--http", "8080")]
    public void Ports_of_manifests_and_image_are_the_program_s_defaults(string option, string port)
    {
        Assert.Matches($@"{option} .*{port}", Help);
        Assert.Matches($@"EXPOSE .*\b{port}\b", Repository.Text("deploy/Dockerfile"));
        Assert.Contains(int.Parse(port, CultureInfo.InvariantCulture),
            Values(Silo(), "containerPort").Select(v => int.Parse(v, CultureInfo.InvariantCulture)));
        Assert.Contains(Values(Silo(), "args").Concat(Arguments()), argument =>
            argument.StartsWith(option + "=", StringComparison.Ordinal) && argument.EndsWith(port, StringComparison.Ordinal));
    }

    [Fact]
    public void Variables_are_those_that_the_program_reads()
    {
        var named = Manifests().SelectMany(text => VariablePattern().Matches(text)).Select(
            match => match.Value).Distinct().Order().ToList();
        Assert.Equal(["ACTORS_POSTGRES", "ORDERS_WEBHOOK_SECRET"], named);
        var read = Help + Repository.Text("samples/Orders/Variables.cs");
        Assert.All(named, variable => Assert.Contains(variable, read, StringComparison.Ordinal));
        var set = Values(Silo(), "name").ToHashSet();
        Assert.All(Manifests().SelectMany(text => ReferencePattern().Matches(text)).Select(match => match.Groups[1].Value), name =>
            Assert.Contains(name, set));
    }

    [Fact]
    public void Probes_ask_the_paths_that_the_program_serves()
    {
        var served = string.Concat(Repository.Files(".cs", "Silo").Select(Repository.Text));
        var paths = Values(Silo(), "path").Distinct().Order().ToList();
        Assert.Equal(["/health/live", "/health/ready"], paths);
        Assert.All(paths, path => Assert.Contains($"MapHealthChecks(\"{path}\"", served, StringComparison.Ordinal));
    }

    [Fact]
    public void A_pod_is_given_longer_than_the_host_and_the_host_longer_than_the_drain()
    {
        var grace = double.Parse(Values(Silo(), "terminationGracePeriodSeconds").Single(), CultureInfo.InvariantCulture);
        var host = double.Parse(
            Regex.Match(Repository.Text("Silo/SiloProgram.cs"), @"ShutdownTimeout = TimeSpan\.FromSeconds\((\d+)\)").Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.True(grace > host);
        Assert.True(host > new ActorsClusterOptions().DrainLimit.TotalSeconds);
        Assert.Contains($"stop_grace_period: {grace}s", Repository.Text("deploy/compose.yaml"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_new_silo_joins_before_an_old_one_drains_and_none_is_throttled()
    {
        Assert.Equal("0", Values(Silo(), "maxUnavailable").First());
        Assert.Equal("1", Values(Silo(), "maxSurge").Single());
        Assert.Single(Values(Silo(), "cpu")); // The request; a limit would be a second.
    }

    private static IEnumerable<string> Manifests() =>
        Repository.Files(".yaml", "deploy").Append("deploy/Dockerfile").Select(Repository.Text);

    private static YamlStream Silo() => Load("deploy/kubernetes/silos.yaml");

    private static IEnumerable<string> Arguments() =>
        Silo().Documents[0].AllNodes.OfType<YamlMappingNode>().Where(node => node.Children.ContainsKey("args")).SelectMany(
            node => (YamlSequenceNode)node["args"]).Select(node => node.ToString());

    private static YamlStream Load(string file)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(Repository.Text(file)));
        return stream;
    }

    private static IEnumerable<string> Values(YamlStream stream, string key) =>
        stream.Documents.SelectMany(document => document.AllNodes).OfType<YamlMappingNode>()
        .Where(node => node.Children.TryGetValue(key, out var value) && value is YamlScalarNode).Select(node => node[key].ToString());

    [GeneratedRegex(@"--[a-z][a-z-]+(?=[""=\s])")]
    private static partial Regex OptionPattern();

    [GeneratedRegex(@"(ACTORS|ORDERS)_[A-Z_]+")]
    private static partial Regex VariablePattern();

    [GeneratedRegex(@"\$\(([A-Z_]+)\)")]
    private static partial Regex ReferencePattern();
}
