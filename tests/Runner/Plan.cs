using Actors.Postgres;
using Actors.Support;

namespace Actors.Runner;

/// <summary>Which test programs run, on which Postgres, and which of them beside each other.</summary>
/// <param name="Majors">Versions of embedded servers; null: the server that <c>ACTORS_POSTGRES</c> names.</param>
/// <param name="Lanes">Programs of one lane run one after the other.</param>
internal sealed record Plan(IReadOnlyList<int?> Majors, IReadOnlyList<IReadOnlyList<TestProgram>> Lanes)
{
    private const int NewestMajor = 18;
    private const string Processes = "Processes";
    private const string CrashMatrix = "*.CrashMatrixTests";

    /// <param name="all">Everything, also on the oldest Postgres.</param>
    /// <param name="asked">A project and arguments of xunit; empty: all projects.</param>
    public static Plan For(bool all, string[] asked)
    {
        int?[] majors = TestPostgres.Settings switch
        {
            { ConnectionString: not null } => [null],
            { Major: { } one } => [one],
            _ when all || Environment.GetEnvironmentVariable("ACTORS_POSTGRES_VERSION") == "all" =>
                [NewestMajor, PostgresSettings.OldestMajor],
            _ => [NewestMajor],
        };
        if (asked is [var project, .. var arguments])
        {
            return new(majors, [[.. majors.Select(major => Program(project, major, arguments))]]);
        }

        var others = Projects().Where(name => name != Processes).ToList();
        return all ? All() : new(
            majors, [.. Fast().Select(
            (lane, place) => place == 0 ? lane : [.. lane.Select(program => program with { YieldsToOthers = true })])]);

        // One program leaves a quarter of two processors free. Two at once use them up; a third one takes from them what it gains.
        List<TestProgram>[] Fast()
        {
            string[] tier = ["-trait-", OnlyInAllAttribute.Trait];
            return
            [
                [Program(Processes, majors[0], [.. tier, "-class-", CrashMatrix]),
                    Program(Processes, majors[0], [.. tier, "-class", CrashMatrix])],
                [
                    .. others.Select(name => Program(name, majors[0], tier)),
                    .. from major in majors.Skip(1) from name in others.Append(Processes) select Program(name, major, tier),
                ],
            ];
        }

        // Silos that probe each other every second wait for much of their time. What needs the processor runs beside them, and takes what
        // they leave.
        Plan All()
        {
            List<TestProgram> beside =
            [
                .. others.Select(name => Program(name, majors[0])),
                Program(Processes, majors[0], "-class", CrashMatrix),
                .. from major in majors.Skip(1) from name in others.Append(Processes) select Program(name, major),
            ];
            return new(majors, [[Program(Processes, majors[0], "-class-", CrashMatrix)],
                [.. beside.Select(program => program with { YieldsToOthers = true })]]);
        }

        TestProgram Program(string name, int? major, params string[] given) =>
            new(name, major, major == majors[0] ? given
                : [.. given, "-trait", EachPostgresAttribute.Trait]) { MustRun = major == majors[0] };
    }

    private static IEnumerable<string> Projects() =>
        from file in Directory.EnumerateFiles(Path.Combine(TestPostgres.RepositoryFolder, "tests"), "*.csproj", SearchOption.AllDirectories)
        where File.ReadAllText(file).Contains("\"xunit.v3\"", StringComparison.Ordinal)
        orderby new FileInfo(file).Length
        select Path.GetFileNameWithoutExtension(file);
}
